#include "strategy/candidate.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/parallel.h"
#include "strategy/output_comparison.h"
#include "strategy/simulate.h"

namespace espquant::strategy {

std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               std::span<const std::vector<Tensor>> inputs,
                                               const SampleObserver& observe) {
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
      static_cast<std::size_t>(thread_count()));
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
    if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor);
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(inputs[s], *workspace, [&](const ops::Executor::View& view) {
      if (observe) observe(i, view);
    });
  });
  return outputs;
}

namespace {

std::vector<std::vector<Tensor>> inputs_of(const calib::SampleSource& source,
                                           std::span<const std::int64_t> samples) {
  std::vector<std::vector<Tensor>> inputs(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    inputs[s] = source.sample(samples[s]);
  });
  return inputs;
}

}  // namespace

FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan,
                   bool outputs_of_layers) {
  const Graph& graph = executor.graph();
  const auto count = static_cast<std::int64_t>(samples.size());
  FloatRun run;
  run.inputs = inputs_of(source, samples);
  run.fitted = samples.size();
  std::vector<calib::Request> requests(plan.requests.size());
  for (std::size_t v = 0; v < requests.size(); ++v) requests[v].mean = plan.requests[v].mean;
  const calib::SampleSource chosen{
      count, [&](std::int64_t i) { return run.inputs[static_cast<std::size_t>(i)]; }};
  run.layer_inputs = quant::layer_inputs(graph, calib::gather(executor, chosen, requests));
  if (outputs_of_layers) {
    std::vector<NodeId> layers;
    for (const auto& [id, unused] : run.layer_inputs) layers.push_back(id);
    run.layer_outputs = calib::room_for_outputs(graph, layers, count);
  }
  run.outputs =
      float_outputs(executor, run.inputs, [&](std::int64_t i, const ops::Executor::View& view) {
        if (outputs_of_layers) calib::keep_outputs(graph, view, i, run.layer_outputs);
      });
  return run;
}

void run_judged(const ops::Executor& executor, const calib::SampleSource& source,
                std::span<const std::int64_t> samples, FloatRun& run) {
  std::vector<std::vector<Tensor>> inputs = inputs_of(source, samples);
  std::vector<std::vector<Tensor>> outputs = float_outputs(executor, inputs);
  std::move(inputs.begin(), inputs.end(), std::back_inserter(run.inputs));
  std::move(outputs.begin(), outputs.end(), std::back_inserter(run.outputs));
}

Noise output_noise(const sim::Program& program, const Graph& network,
                   std::span<const std::vector<Tensor>> inputs,
                   std::span<const std::vector<Tensor>> expected) {
  const SimulatedNetwork simulated(program, network);
  const OutputComparison comparison(network);
  std::vector<std::unique_ptr<sim::Program::Frame>> frames(
      static_cast<std::size_t>(thread_count()));
  std::vector<Noise> noises(inputs.size());
  parallel_for(static_cast<std::int64_t>(noises.size()), [&](std::int64_t i) {
    auto& frame = frames.at(static_cast<std::size_t>(worker_index()));
    if (!frame) frame = std::make_unique<sim::Program::Frame>(program);
    const auto s = static_cast<std::size_t>(i);
    const auto outputs = simulated.run(inputs[s], *frame);
    comparison.add(outputs, expected[s], noises[s]);
  });
  Noise sum;
  for (const Noise& noise : noises) sum.add(noise);
  return sum;
}

}  // namespace espquant::strategy
