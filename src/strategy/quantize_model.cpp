#include "strategy/quantize_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "measure/simulate.h"
#include "recipe/name_pattern.h"
#include "strategy/confirmation.h"
#include "strategy/finetune.h"
#include "strategy/lost_outputs.h"
#include "strategy/recipe_bench.h"
#include "strategy/recurrent_notes.h"
#include "strategy/refine.h"
#include "strategy/wide_notes.h"
#include "strategy/wide_weights.h"

namespace espquant::strategy {
namespace {

[[noreturn]] void refuse_nonsense(const sim::Program& program, std::size_t node) {
  const std::size_t tensor = program.node_outputs(node).front();
  const espdl::Node& made_by = program.model().nodes[node];
  throw Error(
      ErrorCode::Illegal,
      fmt::format("the chip's {} gives NaN or infinity for calibration samples", made_by.op))
      .node(made_by.name)
      .tensor(program.tensor_name(tensor))
      .remedy(
          "Give the layers before it 16 bits (--set layer.NAME.bits=16), or scale the values "
          "that reach it; where the float network has such values too, leave the samples out");
}

void write_test_values(espdl::Model& model, const sim::Program& program,
                       const measure::SimulatedNetwork& network,
                       const calib::SampleSource& source) {
  sim::Program::Frame frame(program, true);
  network.feed(source.sample(0), frame);
  const auto keep = [&](std::span<const std::size_t> tensors, std::vector<espdl::Constant>& into) {
    for (std::size_t t : tensors)
      into.push_back({program.tensor_name(t), frame.tensor(t), program.desc(t).exponents, ""});
  };
  std::vector<espdl::Constant> inputs, outputs;
  keep(program.inputs(), inputs);
  frame.run();
  if (const auto node = measure::first_not_finite(program, frame)) refuse_nonsense(program, *node);
  keep(program.outputs(), outputs);
  model.test_inputs = std::move(inputs);
  model.test_outputs = std::move(outputs);
}

/// Makes the candidate that a recipe asks for, mixed section included.
Candidate make_candidate(Workbench& bench, quant::Settings settings, const QuantizeOptions& options,
                         const StageProgress& progress, QuantizedModel& result) {
  const recipe::Recipe& recipe = options.recipe;
  const Means means = means_of(recipe);
  settings = bench.with_fitting_settled(std::move(settings), means);
  const auto refine = [&] {
    const RefineResult refined = refine_exponents(bench, settings, means, progress);
    if (refined.moved == 0) return;
    // Without layers of 16 bits, the result is measured by int8, which it must not fall behind.
    if (!recipe.mixed.enabled) {
      const Candidate moved = bench.judged(refined.settings, means);
      if (!is_confirmed(bench, moved, bench.judged(settings, means), 1)) return;
    }
    settings = refined.settings;
  };
  // What meets a goal is made as it was measured.
  const bool has_goals = recipe.mixed.noise_target || recipe.mixed.accuracy_within;
  if (recipe.quantization.refine_exponents && has_goals) refine();
  if (recipe.mixed.enabled) {
    const Deadline deadline(options.search_seconds);
    MixedResult mixed =
        choose_wide_layers(bench, recipe.mixed, settings, means, !recipe.quantization.weight_bits,
                           options.find_idle_layers, progress, deadline);
    if (deadline.is_over() && mixed.looked_at < mixed.effects.size())
      result.notes.push_back(fmt::format(
          "the search for layers of 16 bits ended after {:g} s: {} of {} layers were looked at",
          deadline.seconds(), mixed.looked_at, mixed.effects.size()));
    result.layer_effects = std::move(mixed.effects);
    result.wide_layers = std::move(mixed.chosen);
    result.idle_layers = std::move(mixed.idle);
    result.goals_met = mixed.goals_met;
    settings = std::move(mixed.settings);
  }
  if (recipe.quantization.wide_weights.value_or(0) > 0) {
    WideWeights wide =
        choose_wide_weights(bench, *recipe.quantization.wide_weights, settings, means, progress);
    result.wide_weights = std::move(wide.layers);
    settings = std::move(wide.settings);
  }
  if (recipe.quantization.refine_exponents && !has_goals) refine();
  Candidate made = bench.make(settings, means);
  if (!recipe.finetune.enabled) return made;
  Finetuned trained = finetune(bench, settings, std::move(made), recipe.finetune, progress);
  result.finetuned = {trained.before, trained.kept ? trained.after : trained.before};
  if (!trained.reason.empty()) result.notes.push_back(trained.reason);
  return std::move(trained.candidate);
}

void settle_weights(recipe::Recipe& recipe, const std::string& layer, int weight_bits) {
  recipe::Recipe::LayerRule& rule = recipe.layers.emplace_back();
  rule.match = recipe::pattern_of(layer);
  rule.weight_bits = weight_bits;
}

// The chosen layers as a list, so that the recipe gives the same file again.
void settle_recipe(QuantizedModel& result) {
  result.recipe.quantization.wide_weights.reset();
  for (const std::string& layer : result.wide_weights) settle_weights(result.recipe, layer, 16);
  if (!result.recipe.mixed.enabled || result.wide_layers.empty()) return;
  recipe::Recipe::Mixed settled;
  settled.enabled = true;
  for (const LayerEffect& choice : result.wide_layers) {
    settled.layers.push_back(recipe::pattern_of(choice.layer));
    for (const std::string& name : choice.narrow_weights) settle_weights(result.recipe, name, 8);
  }
  result.recipe.mixed = std::move(settled);
}

}  // namespace

QuantizedModel quantize_model(Graph imported, const calib::SampleSource& source,
                              const QuantizeOptions& options, const StageProgress& progress) {
  Preparation only(std::move(imported), source, options.labels);
  return quantize_model(only, options, progress);
}

QuantizedModel quantize_model(Preparation& shared, const QuantizeOptions& options,
                              const StageProgress& progress) {
  const recipe::Recipe& recipe = options.recipe;
  const calib::SampleSource& source = shared.source();
  QuantizedModel result;
  result.recipe = recipe;
  Stopwatch watch(result.stages, progress);
  const RecipeBench made = bench_for(shared, recipe, *options.target, options.latency, watch);
  Workbench& bench = *made.bench;
  bench.estimate_rearranged(options.fit && options.fit->latency);
  result.network = made.simplified->network;
  result.passes = made.simplified->passes;
  for (ValueId v : lower::unread_inputs(result.network))
    result.unread_inputs.push_back(result.network.value(v).name);
  result.equalization = made.equalization;
  Candidate best = watch.run(
      "quantize", [&] { return make_candidate(bench, made.settings, options, progress, result); });
  result.judged = best.noise;
  settle_recipe(result);
  for (std::string& note : recurrent_notes(shared.imported(), best.graph))
    result.notes.push_back(std::move(note));
  for (std::string& note : wide_notes(shared.imported(), bench, best.graph))
    result.notes.push_back(std::move(note));
  result.quantized = std::move(best.graph);
  result.scaled = std::move(best.scaled);
  result.model = std::move(best.lowered.model);
  auto& metadata = result.model.metadata;
  metadata.insert(metadata.begin(), options.metadata.begin(), options.metadata.end());
  metadata.emplace_back("espquant.recipe", recipe::to_toml(result.recipe));
  watch.run("simulate", [&] {
    const sim::Program program(result.model, *options.target);
    result.faults.assign(program.faults().begin(), program.faults().end());
    const ops::Executor executor(result.scaled);
    result.noise = measure::measure_noise(executor, program, best.lowered.orders, source,
                                          evenly_spread(source.count, options.report_samples));
    if (!best.noise.is_finite() && !result.noise.not_finite)
      result.noise.not_finite =
          measure::measure_noise(executor, program, best.lowered.orders, source,
                                 evenly_spread(source.count, source.count))
              .not_finite;
    if (result.noise.not_finite) refuse_nonsense(program, *result.noise.not_finite);
    for (std::string& note : recurrent_noise_notes(result.noise))
      result.notes.push_back(std::move(note));
    LostOutputs lost = find_lost_outputs(result.scaled, result.noise);
    result.warnings = std::move(lost.warnings);
    result.lost_output = std::move(lost.constant);
    if (options.test_values)
      write_test_values(result.model, program, measure::SimulatedNetwork(program, result.network),
                        source);
  });
  return result;
}

}  // namespace espquant::strategy
