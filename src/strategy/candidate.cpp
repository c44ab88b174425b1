#include "strategy/candidate.h"

#include <algorithm>
#include <iterator>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "measure/output_comparison.h"
#include "measure/simulate.h"

namespace espquant::strategy {

std::vector<std::vector<Tensor>> inputs_of(const calib::SampleSource& source,
                                           std::span<const std::int64_t> samples) {
  std::vector<std::vector<Tensor>> inputs(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    inputs[s] = source.sample(samples[s]);
  });
  return inputs;
}

FloatRun run_float(const ops::Executor& executor, std::vector<std::vector<Tensor>> inputs,
                   const quant::Plan& plan, bool outputs_of_layers) {
  const Graph& graph = executor.graph();
  FloatRun run;
  run.inputs = std::move(inputs);
  run.fitted = run.inputs.size();
  run.outputs.resize(run.fitted);
  const auto count = static_cast<std::int64_t>(run.fitted);
  std::vector<calib::Request> requests(plan.requests.size());
  for (std::size_t v = 0; v < requests.size(); ++v) requests[v].mean = plan.requests[v].mean;
  if (outputs_of_layers)
    run.layer_outputs =
        calib::room_for_outputs(graph, quant::followed_layers(graph, requests), count);
  const calib::SampleSource source{
      count, [&](std::int64_t i) { return run.inputs[static_cast<std::size_t>(i)]; }};
  const calib::Statistics statistics =
      calib::gather(executor, source, requests,
                    {.value =
                         [&](std::int64_t i, const ops::Executor::View& view) {
                           calib::keep_outputs(graph, view, i, run.layer_outputs);
                         },
                     .outputs =
                         [&](std::int64_t i, std::vector<Tensor> outputs) {
                           run.outputs[static_cast<std::size_t>(i)] = std::move(outputs);
                         }});
  run.layer_inputs = quant::layer_inputs(graph, statistics);
  return run;
}

void run_judged(const ops::Executor& executor, std::vector<std::vector<Tensor>> inputs,
                FloatRun& run) {
  std::vector<std::vector<Tensor>> outputs = ops::run_all(executor, inputs);
  std::move(inputs.begin(), inputs.end(), std::back_inserter(run.inputs));
  std::move(outputs.begin(), outputs.end(), std::back_inserter(run.outputs));
}

measure::OutputNoise output_noise(const sim::Program& program, const Graph& network,
                                  const FloatRun& run) {
  const measure::SimulatedNetwork simulated(program, network);
  const measure::OutputComparison comparison(network);
  PerWorker<sim::Program::Frame> frames(program);
  const std::size_t first = run.first_judged();
  std::vector<measure::OutputNoise> noises(run.inputs.size() - first);
  parallel_for(static_cast<std::int64_t>(noises.size()), [&](std::int64_t i) {
    sim::Program::Frame& frame = frames.mine();
    const auto s = static_cast<std::size_t>(i);
    const auto outputs = simulated.run(run.inputs[first + s], frame);
    noises[s] = comparison.of(outputs, run.outputs[first + s]);
  });
  measure::OutputNoise sum = comparison.nothing();
  for (const measure::OutputNoise& noise : noises) sum.add(noise);
  return sum;
}

}  // namespace espquant::strategy
