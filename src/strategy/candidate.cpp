#include "strategy/candidate.h"

#include <memory>

#include "base/parallel.h"
#include "strategy/simulate.h"

namespace espquant::strategy {

std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               const std::vector<std::vector<Tensor>>& inputs) {
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
      static_cast<std::size_t>(thread_count()));
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
    if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor);
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(inputs[s], *workspace);
  });
  return outputs;
}

FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan) {
  FloatRun run;
  run.inputs.resize(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    run.inputs[s] = source.sample(samples[s]);
  });
  std::vector<calib::Request> requests(plan.requests.size());
  for (std::size_t v = 0; v < requests.size(); ++v) requests[v].mean = plan.requests[v].mean;
  const calib::SampleSource chosen{static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
                                     return run.inputs[static_cast<std::size_t>(i)];
                                   }};
  run.layers = quant::layer_inputs(executor.graph(), calib::gather(executor, chosen, requests));
  run.outputs = float_outputs(executor, run.inputs);
  return run;
}

Noise output_noise(const sim::Program& program, const Graph& network, const FloatRun& run,
                   const std::vector<std::vector<Tensor>>& expected) {
  const SimulatedNetwork simulated(program, network);
  std::vector<std::unique_ptr<sim::Program::Frame>> frames(
      static_cast<std::size_t>(thread_count()));
  std::vector<Noise> noises(run.inputs.size());
  parallel_for(static_cast<std::int64_t>(noises.size()), [&](std::int64_t i) {
    auto& frame = frames.at(static_cast<std::size_t>(worker_index()));
    if (!frame) frame = std::make_unique<sim::Program::Frame>(program);
    const auto s = static_cast<std::size_t>(i);
    const auto outputs = simulated.run(run.inputs[s], *frame);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      noises[s].add(outputs[o].data<float>(), expected[s][o].data<float>());
  });
  Noise sum;
  for (const Noise& noise : noises) sum.add(noise);
  return sum;
}

}  // namespace espquant::strategy
