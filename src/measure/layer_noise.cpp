#include "measure/layer_noise.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "measure/float_references.h"
#include "measure/output_comparison.h"

namespace espquant::measure {

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
  std::vector<OutputSignal> outputs;
  OutputNoise output;
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
  const OutputComparison comparison(graph);
  PerWorker<LayerNoiseWorker> workers(executor, program);
  std::vector<SampleNoise> found(samples.size());
  // What others are held against.
  std::vector<Tensor> first_outputs, first_expected;

  const auto measure = [&](std::int64_t i) {
    LayerNoiseWorker& worker = workers.mine();
    FloatReferences::Values& values = worker.values;
    const std::vector<Tensor> inputs = source.sample(samples[static_cast<std::size_t>(i)]);
    const std::vector<Tensor> expected =
        executor.run(inputs, worker.workspace,
                     [&](const ops::Executor::View& view) { references.keep(view, values); });

    SampleNoise& mine = found[static_cast<std::size_t>(i)];
    mine.accumulated.resize(program.node_count());
    mine.alone.resize(program.node_count());
    const std::vector<Tensor> outputs = network.run(inputs, worker.whole);
    if (i == 0) {
      first_outputs = outputs;
      first_expected = expected;
    }
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      OutputSignal& output = mine.outputs.emplace_back();
      output.noise.add(outputs[o].data<float>(), expected[o].data<float>());
      Noise change;
      change.add_exactly(expected[o].data<float>(), first_expected[o].data<float>());
      output.variation = change.noise;
      output.varies = !outputs[o].equals(first_outputs[o]);
      output.count = outputs[o].size();
    }
    mine.output = comparison.of(outputs, expected);

    const auto compare = [&](sim::Program::Frame& frame, std::size_t tensor, Noise& noise) {
      worker.scratch.resize(values[tensor].size());
      load(frame.bytes(tensor).data(), program.desc(tensor), worker.scratch);
      noise.add(worker.scratch, values[tensor]);
    };
    const auto set_float = [&](std::size_t tensor) {
      if (!values[tensor].empty())
        store(values[tensor], program.desc(tensor), program.target(),
              worker.single.bytes(tensor).data());
    };
    mine.not_finite = first_not_finite(program, worker.whole);
    for (std::size_t t : program.inputs()) set_float(t);
    for (std::size_t n = 0; n < program.node_count(); ++n) {
      worker.single.run_node(n);
      for (std::size_t t : program.node_outputs(n)) {
        if (values[t].empty()) continue;
        compare(worker.whole, t, mine.accumulated[n]);
        compare(worker.single, t, mine.alone[n]);
        set_float(t);
      }
    }
    if (visit) visit({i, values, worker.whole, worker.workspace, expected});
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
      OutputSignal& all = report.outputs[o];
      all.noise.add(s.outputs[o].noise);
      all.variation += s.outputs[o].variation;
      all.varies = all.varies || s.outputs[o].varies;
      all.count += s.outputs[o].count;
    }
    report.output.add(s.output);
    if (s.not_finite && (!report.not_finite || *s.not_finite < *report.not_finite))
      report.not_finite = s.not_finite;
  }
  return report;
}

}  // namespace espquant::measure
