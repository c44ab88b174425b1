#include "measure/layer_noise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/parallel.h"
#include "measure/float_references.h"

namespace espquant::measure {

namespace {

/// Of a sum of squares: float32 has lost nothing of it.
bool in_range(float sum) { return sum == 0 || (sum > 1e-30F && sum < 1e38F); }

}  // namespace

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
    if (!in_range(n) || !in_range(s)) {
      add_exactly(actual.subspan(begin, end - begin), reference.subspan(begin, end - begin));
      continue;
    }
    noise += static_cast<double>(n);
    signal += static_cast<double>(s);
  }
}

void Noise::add_exactly(std::span<const float> actual, std::span<const float> reference) {
  double n = 0, s = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual[i]) - static_cast<double>(reference[i]);
    n += d * d;
    s += static_cast<double>(reference[i]) * static_cast<double>(reference[i]);
  }
  // So that NaN loses every comparison with a number.
  noise += std::isnan(n) ? std::numeric_limits<double>::infinity() : n;
  signal += s;
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
  std::vector<OutputNoise> outputs;
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
  // What others are held against.
  std::vector<Tensor> first_outputs, first_expected;

  const auto measure = [&](std::int64_t i) {
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
    if (i == 0) {
      first_outputs = outputs;
      first_expected = expected;
    }
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      OutputNoise& output = mine.outputs.emplace_back();
      output.noise.add(outputs[o].data<float>(), expected[o].data<float>());
      Noise change;
      change.add_exactly(expected[o].data<float>(), first_expected[o].data<float>());
      output.variation = change.noise;
      output.varies = !outputs[o].equals(first_outputs[o]);
      output.count = outputs[o].size();
    }

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
  };
  const auto count = static_cast<std::int64_t>(samples.size());
  parallel_for(std::min<std::int64_t>(count, 1), measure);
  parallel_for(count - 1, [&](std::int64_t i) { measure(i + 1); });

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
  for (ValueId v : graph.outputs())
    report.outputs.push_back({graph.value(v).name, {}, 0, false, 0});
  for (const SampleNoise& s : found) {
    for (std::size_t o = 0; o < s.outputs.size(); ++o) {
      OutputNoise& all = report.outputs[o];
      all.noise.add(s.outputs[o].noise);
      all.variation += s.outputs[o].variation;
      all.varies = all.varies || s.outputs[o].varies;
      all.count += s.outputs[o].count;
    }
    if (s.not_finite && (!report.not_finite || *s.not_finite < *report.not_finite))
      report.not_finite = s.not_finite;
  }
  for (const OutputNoise& output : report.outputs) report.output.add(output.noise);
  return report;
}

}  // namespace espquant::measure
