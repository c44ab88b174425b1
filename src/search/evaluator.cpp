#include "search/evaluator.h"

#include <algorithm>
#include <chrono>

#include "base/digest.h"
#include "base/error.h"
#include "base/seconds.h"
#include "cost/memory_plan.h"
#include "espdl/writer.h"
#include "quant/equalization.h"

namespace espquant::search {
namespace {

/// Samples to fit to, and to judge on, in a look.
constexpr std::int64_t kLookedAtSamples = 16;
/// Each holds a network's statistics and the tensors of its samples.
constexpr std::size_t kMostBenches = 6;

void add_costs(const espdl::Model& model, const Target& target, const cost::LatencyOptions& latency,
               Outcome& outcome) {
  espdl::Model plain = model;
  // A recipe with a longer name is no larger.
  plain.metadata.clear();
  plain.test_inputs.clear();
  plain.test_outputs.clear();
  outcome.flash = static_cast<std::int64_t>(espdl::write_model(plain).size());
  outcome.ram = static_cast<std::int64_t>(cost::plan_memory(plain, target).ram_bytes());
  outcome.milliseconds = cost::estimate_latency(plain, target, latency).milliseconds;
}

quant::Settings with_wide_layers(const recipe::Recipe& recipe, const Graph& network,
                                 quant::Settings settings) {
  for (const std::string& layer : strategy::matching_layers(network, recipe.mixed.layers))
    settings.layer_bits[layer] = 16;
  return settings;
}

quant::Settings all_wide(const std::vector<strategy::MovableLayer>& layers,
                         quant::Settings settings) {
  for (const strategy::MovableLayer& layer : layers) settings.layer_bits[layer.name] = 16;
  return settings;
}

}  // namespace

Evaluator::Bench& Evaluator::bench_of(const recipe::Recipe& recipe) {
  std::vector<strategy::Stage> stages;
  const strategy::StageProgress quiet;
  strategy::Stopwatch watch(stages, quiet);
  strategy::RecipeBench of = strategy::bench_for(*ingredients_.shared, recipe, *ingredients_.target,
                                                 ingredients_.latency, watch);
  const auto known = std::find_if(benches_.begin(), benches_.end(), [&](const auto& b) {
    return b->of.bench == of.bench && b->means == strategy::means_of(recipe);
  });
  if (known != benches_.end()) {
    (*known)->of.settings = std::move(of.settings);
    std::rotate(known, known + 1, benches_.end());
    return *benches_.back();
  }
  if (benches_.size() == kMostBenches) benches_.pop_front();
  ingredients_.shared->keep_benches(kMostBenches);
  auto made = std::make_unique<Bench>();
  made->of = std::move(of);
  made->means = strategy::means_of(recipe);
  strategy::Workbench& bench = *made->of.bench;
  bench.hold_out();
  made->part = bench.part_of_run(kLookedAtSamples);
  // Without the widths of weights that this recipe gives.
  const quant::Settings& plain = bench.settings();
  std::vector<strategy::MovableLayer> layers = strategy::movable_layers(bench, plain);
  std::vector<std::string> names;
  for (const auto& layer : layers) names.push_back(layer.name);
  const std::vector<std::string> allowed =
      strategy::matching_layers(bench.network(), ingredients_.layers);
  std::erase_if(layers, [&](const strategy::MovableLayer& layer) {
    return std::find(allowed.begin(), allowed.end(), layer.name) == allowed.end();
  });
  made->layers = std::move(layers);
  made->tensors = strategy::shared_tensors(bench, made->layers);
  const quant::Settings wide = all_wide(made->layers, plain);
  if (!made->tensors.empty())
    made->narrowings = strategy::narrowings_of(bench, made->tensors, plain, wide);
  made->narrow.emplace(bench, plain, made->means, made->part);
  made->wide.emplace(bench, wide, made->means, made->part);
  return *benches_.emplace_back(std::move(made));
}

Outcome Evaluator::layers_of(const Work& work) {
  const Bench& bench = bench_of(work.recipe);
  Outcome outcome;
  for (const auto& layer : bench.layers) {
    const bool can = ingredients_.target->release.has(Feature::W8A16);
    outcome.layers.push_back({layer.name, can ? layer.narrow_weights : std::vector<std::string>()});
  }
  for (const auto& tensor : bench.tensors)
    outcome.tensors.push_back({bench.of.bench->network().value(tensor.value).name, tensor.layers});
  Graph copy = bench.of.simplified->network;
  outcome.has_caps = quant::turn_caps_into_relus(copy) > 0;
  return outcome;
}

Outcome Evaluator::look_at(const Work& work) {
  Bench& bench = bench_of(work.recipe);
  const quant::Settings settings =
      with_wide_layers(work.recipe, bench.of.bench->network(), bench.of.settings);
  const bool mostly_wide = 2 * settings.layer_bits.size() > bench.layers.size();
  const strategy::Candidate candidate = (mostly_wide ? bench.wide : bench.narrow)->make(settings);
  Outcome outcome;
  outcome.judged = candidate.noise.ratio();
  outcome.judged_mean = candidate.noise.mean_ratio();
  add_costs(candidate.lowered.model, *ingredients_.target, ingredients_.latency, outcome);
  return outcome;
}

Outcome Evaluator::tensor_of(const Work& work) {
  Bench& bench = bench_of(work.recipe);
  const Graph& network = bench.of.bench->network();
  const auto found = std::find_if(
      bench.tensors.begin(), bench.tensors.end(),
      [&](const auto& tensor) { return network.value(tensor.value).name == work.tensor; });
  if (found == bench.tensors.end())
    throw Error(ErrorCode::Usage, "no tensor between layers").tensor(work.tensor);
  const auto index = static_cast<std::size_t>(found - bench.tensors.begin());
  const measure::OutputNoise noise =
      bench.wide->narrow_each(std::span(bench.narrowings).subspan(index, 1)).front();
  Outcome outcome;
  outcome.judged = noise.ratio();
  outcome.judged_mean = noise.mean_ratio();
  return outcome;
}

Made Evaluator::make(const recipe::Recipe& recipe) const {
  strategy::QuantizeOptions options;
  options.recipe = recipe;
  options.target = ingredients_.target;
  options.latency = ingredients_.latency;
  options.metadata = ingredients_.metadata(recipe);
  options.report_samples = 0;
  options.find_idle_layers = false;
  strategy::QuantizedModel model = strategy::quantize_model(*ingredients_.shared, options);
  strategy::SoundFile file = strategy::pass_last_gate(model, *ingredients_.target);
  return {std::move(model), std::move(file)};
}

Outcome Evaluator::measured(const Made& made, const Jury& jury) const {
  Outcome outcome;
  outcome.judged = made.model.judged.ratio();
  outcome.judged_mean = made.model.judged.mean_ratio();
  add_costs(made.model.model, *ingredients_.target, ingredients_.latency, outcome);
  const Verdict verdict = jury.of(sim::Program(made.model.model, *ingredients_.target));
  outcome.noise = verdict.noise;
  outcome.part_noises = verdict.part_noises;
  outcome.accuracy = verdict.accuracy;
  outcome.agreement = verdict.agreement;
  outcome.accuracy_drop = verdict.accuracy_drop;
  outcome.file = sha256_of(made.file.bytes());
  for (const strategy::LayerEffect& layer : made.model.wide_layers) {
    outcome.wide_layers.push_back(layer.layer);
    outcome.narrow_weights.insert(outcome.narrow_weights.end(), layer.narrow_weights.begin(),
                                  layer.narrow_weights.end());
  }
  return outcome;
}

Outcome Evaluator::trial_of(const Work& work) {
  made_ = make(work.recipe);
  return measured(*made_, jury_);
}

Outcome Evaluator::run(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  made_.reset();
  Outcome outcome;
  try {
    switch (work.kind) {
      case Work::Kind::Layers:
        outcome = layers_of(work);
        break;
      case Work::Kind::Look:
        outcome = look_at(work);
        break;
      case Work::Kind::Tensor:
        outcome = tensor_of(work);
        break;
      case Work::Kind::Trial:
        outcome = trial_of(work);
        break;
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal || error.code() == ErrorCode::Cancelled ||
        error.code() == ErrorCode::Io)
      throw;
    outcome.refusal = error.what();
  }
  outcome.seconds = seconds_since(begin);
  return outcome;
}

}  // namespace espquant::search
