#include <fmt/format.h>

#include <algorithm>

#include "cost/in_place.h"
#include "espdl/reader.h"
#include "lower/lower.h"
#include "schedule/in_place_writes.h"
#include "sim/program.h"
#include "strategy/last_gate.h"
#include "strategy/quantize_model.h"
#include "tests/fuzz/arena_replay.h"
#include "tests/fuzz/graph_problem.h"

namespace espquant::test {
namespace {

using Kind = GraphVerdict::Kind;

constexpr double kMostNoiseAt16Bits = 0.01;

/// The first difference between simulator and replay; empty without one.
std::string compare(const GraphProblem& problem, const espdl::Model& model, const Graph& network,
                    GraphVerdict& verdict) {
  const Target& target = find_target(problem.chip);
  const sim::Program program(model, target);
  const measure::SimulatedNetwork simulated(program, network);
  sim::Program::Frame frame(program);
  ArenaReplay replay(model, target);
  for (std::size_t s = 0; s < problem.samples.size(); ++s) {
    simulated.feed(problem.samples[s], frame);
    std::map<std::string, Tensor> inputs;
    for (std::size_t t : program.inputs()) inputs.emplace(program.tensor_name(t), frame.tensor(t));
    frame.run();
    const auto replayed = replay.run(inputs);
    for (std::size_t t : program.outputs()) {
      const Tensor value = frame.tensor(t);
      verdict.outputs += value.size();
      if (!replayed.at(program.tensor_name(t)).equals(value))
        return fmt::format("output '{}' of sample {} differs in planned memory",
                           program.tensor_name(t), s);
    }
  }
  return {};
}

/// Those that make more than a little of their own.
/// The most of any output. What is left of numbers that cancel is rounding, in float, too, and
/// outputs that small are not judged.
double noise_of_outputs(const measure::NoiseReport& report) {
  constexpr double kLeastPower = 1e-6;
  double most = 0;
  for (const auto& output : report.outputs)
    if (output.noise.signal > kLeastPower * static_cast<double>(output.count))
      most = std::max(most, output.noise.ratio());
  return most;
}

std::string noisy_layers(const measure::NoiseReport& noise) {
  constexpr double kLittle = 1e-4;
  std::string text;
  for (const auto& layer : noise.layers)
    if (layer.alone.ratio() > kLittle)
      text += fmt::format("; {} ({}) {:.3f} % by itself", layer.node, layer.op,
                          100 * layer.alone.ratio());
  return text;
}

}  // namespace

GraphVerdict judge(const GraphProblem& problem) {
  GraphVerdict verdict;
  try {
    strategy::QuantizeOptions options;
    options.recipe = recipe::find_recipe(problem.recipe);
    options.target = &find_target(problem.chip);
    options.report_samples = 4;
    const calib::SampleSource source{
        static_cast<std::int64_t>(problem.samples.size()),
        [&](std::int64_t i) { return problem.samples[static_cast<std::size_t>(i)]; }};
    const auto result = strategy::quantize_model(problem.network, source, options);
    const auto file = strategy::pass_last_gate(result, *options.target);
    const espdl::Model model = espdl::read_model(file.bytes());
    espdl::Model bare = lower::lower(result.quantized, *options.target).model;
    verdict.losses = static_cast<std::int64_t>(
        schedule::protect_from_in_place_writes(bare, *options.target).size());
    verdict.aliases = std::count_if(model.nodes.begin(), model.nodes.end(), [](const auto& node) {
      return cost::in_place_kind(node.op) == cost::InPlace::Alias;
    });
    verdict.text = compare(problem, model, result.network, verdict);
    const double noise = noise_of_outputs(result.noise);
    if (verdict.text.empty() && problem.recipe == "int16" && !(noise <= kMostNoiseAt16Bits))
      verdict.text =
          fmt::format("{:.3f} % of noise at 16 bits{}", 100 * noise, noisy_layers(result.noise));
    if (!verdict.text.empty()) verdict.kind = Kind::Wrong;
  } catch (const Error& error) {
    const bool explained =
        error.code() == ErrorCode::Illegal || error.code() == ErrorCode::Unsupported;
    verdict.kind = explained ? Kind::Refused : Kind::Wrong;
    verdict.text = error.what();
  }
  return verdict;
}

}  // namespace espquant::test
