#include "measure/layer_noise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/parallel.h"
#include "measure/float_references.h"

namespace espquant::measure {

void Noise::add(std::span<const float> actual, std::span<const float> reference) {
  constexpr std::size_t kBlock = 1024;
  for (std::size_t begin = 0; begin < actual.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, actual.size());
    float n = 0, s = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float d = actual[i] - reference[i];
      n += d * d;
      s += reference[i] * reference[i];
    }
    // So that NaN loses every comparison with a number.
    noise += std::isnan(n) ? std::numeric_limits<double>::infinity() : static_cast<double>(n);
    signal += static_cast<double>(s);
  }
}

namespace {

/// What one thread needs.
struct LayerNoiseWorker {
  LayerNoiseWorker(const ops::Executor& executor, const sim::Program& program)
      : workspace(executor),
        whole(program, true),
        single(program, true),
        values(program.tensor_count()) {}

  ops::Executor::Workspace workspace;
  sim::Program::Frame whole, single;
  FloatReferences::Values values;
  std::vector<float> scratch;
};

struct SampleNoise {
  std::vector<Noise> accumulated, alone;
  Noise output;
  std::optional<std::size_t> not_finite;
};

bool is_finite(std::span<const std::byte> bytes, const sim::TensorDesc& desc) {
  if (desc.dtype != DType::Float32) return true;
  const auto* values = reinterpret_cast<const float*>(bytes.data());
  return std::all_of(values, values + element_count(desc.shape),
                     [](float v) { return std::isfinite(v); });
}

}  // namespace

std::optional<std::size_t> first_not_finite(const sim::Program& program,
                                            sim::Program::Frame& frame) {
  for (std::size_t n = 0; n < program.node_count(); ++n)
    for (std::size_t t : program.node_outputs(n))
      if (!is_finite(frame.bytes(t), program.desc(t))) return n;
  return std::nullopt;
}

NoiseReport measure_noise(const ops::Executor& executor, const sim::Program& program,
                          const lower::Orders& orders, const calib::SampleSource& source,
                          std::span<const std::int64_t> samples, const SampleVisitor& visit) {
  const Graph& graph = executor.graph();
  const FloatReferences references(graph, program, orders);
  const SimulatedNetwork network(program, graph);
  std::vector<std::unique_ptr<LayerNoiseWorker>> workers(static_cast<std::size_t>(thread_count()));
  std::vector<SampleNoise> found(samples.size());

  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    auto& worker = workers.at(static_cast<std::size_t>(worker_index()));
    if (!worker) worker = std::make_unique<LayerNoiseWorker>(executor, program);
    FloatReferences::Values& values = worker->values;
    const std::vector<Tensor> inputs = source.sample(samples[static_cast<std::size_t>(i)]);
    const std::vector<Tensor> expected =
        executor.run(inputs, worker->workspace,
                     [&](const ops::Executor::View& view) { references.keep(view, values); });

    SampleNoise& mine = found[static_cast<std::size_t>(i)];
    mine.accumulated.resize(program.node_count());
    mine.alone.resize(program.node_count());
    const std::vector<Tensor> outputs = network.run(inputs, worker->whole);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      mine.output.add(outputs[o].data<float>(), expected[o].data<float>());

    const auto compare = [&](sim::Program::Frame& frame, std::size_t tensor, Noise& noise) {
      worker->scratch.resize(values[tensor].size());
      load(frame.bytes(tensor).data(), program.desc(tensor), worker->scratch);
      noise.add(worker->scratch, values[tensor]);
    };
    const auto set_float = [&](std::size_t tensor) {
      if (!values[tensor].empty())
        store(values[tensor], program.desc(tensor), program.target(),
              worker->single.bytes(tensor).data());
    };
    mine.not_finite = first_not_finite(program, worker->whole);
    for (std::size_t t : program.inputs()) set_float(t);
    for (std::size_t n = 0; n < program.node_count(); ++n) {
      worker->single.run_node(n);
      for (std::size_t t : program.node_outputs(n)) {
        if (values[t].empty()) continue;
        compare(worker->whole, t, mine.accumulated[n]);
        compare(worker->single, t, mine.alone[n]);
        set_float(t);
      }
    }
    if (visit) visit({i, values, worker->whole, worker->workspace, expected});
  });

  NoiseReport report;
  report.samples = static_cast<std::int64_t>(samples.size());
  for (std::size_t n = 0; n < program.node_count(); ++n) {
    const espdl::Node& node = program.model().nodes[n];
    const std::size_t tensor = program.node_outputs(n).front();
    LayerNoise layer{node.name,
                     node.op,
                     program.tensor_name(tensor),
                     program.desc(tensor).dtype,
                     program.desc(tensor).exponent(),
                     {},
                     {}};
    for (const SampleNoise& s : found) {
      layer.accumulated.add(s.accumulated[n]);
      layer.alone.add(s.alone[n]);
    }
    report.layers.push_back(std::move(layer));
  }
  for (const SampleNoise& s : found) {
    report.output.add(s.output);
    if (s.not_finite && (!report.not_finite || *s.not_finite < *report.not_finite))
      report.not_finite = s.not_finite;
  }
  return report;
}

}  // namespace espquant::measure
