#include "strategy/workbench.h"

#include <algorithm>

#include "calib/covariance.h"
#include "lower/lower.h"
#include "quant/even_concats.h"
#include "quant/reach.h"
#include "quant/scores.h"
#include "quant/uneven_outputs.h"
#include "schedule/in_place_writes.h"
#include "schedule/optimize.h"
#include "strategy/exponent_noise.h"
#include "strategy/mask_bounds.h"
#include "strategy/stepped_run.h"

namespace espquant::strategy {
namespace {

// The windows of exponents are laid around the range of a few samples; the pass over all of them
// decides.
constexpr std::int64_t kScanSamples = 8;
// Correlations of inputs need fewer samples than their ranges.
constexpr std::int64_t kCovarianceSamples = 128;
// Samples that go through the simulated network in step, as far as this memory holds them.
constexpr std::int64_t kRunSamples = 64, kLeastRunSamples = 16;
constexpr std::int64_t kRunMemory = std::int64_t{48} << 20;
// Of a trial, for exponents in doubt.
constexpr std::size_t kTrialNoiseSamples = 12;
// More noise on samples to judge on than so many times that on those fitted to is more than chance.
constexpr double kOverfitted = 1.25;
// Each holds all weights several times.
constexpr std::size_t kMostJudged = 8;

std::vector<NodeId> weighted_nodes(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (NodeId id : graph.topological_order())
    if (quant::is_weighted(graph, graph.node(id))) nodes.push_back(id);
  return nodes;
}

// Two of a network's largest activations are about what the chip's memory holds at a time.
std::int64_t run_samples(const Graph& graph) {
  std::int64_t input = 0, largest = 0;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const Value& value = graph.value(id);
    if (!value.shape || value.is_constant()) continue;
    largest = std::max(largest, element_count(*value.shape));
    if (graph.is_input(id)) input += element_count(*value.shape);
  }
  const std::int64_t each = std::max<std::int64_t>(4 * input + 2 * largest, 1);
  return std::clamp(kRunMemory / each, kLeastRunSamples, kRunSamples);
}

std::vector<std::string> names_of(const Graph& graph, const Node& n) {
  std::vector<std::string> names{n.name};
  for (ValueId v : n.outputs)
    if (v != kNone) names.push_back(graph.value(v).name);
  return names;
}

}  // namespace

std::vector<std::int64_t> evenly_spread(std::int64_t size, std::int64_t count) {
  std::vector<std::int64_t> picked;
  const std::int64_t n = std::min(size, count);
  for (std::int64_t i = 0; i < n; ++i) picked.push_back(i * size / n);
  return picked;
}

Workbench::Workbench(Graph network, quant::Settings settings, calib::SampleSource source,
                     std::span<const std::int64_t> labels, const StageProgress& progress)
    : network_(std::move(network)),
      settings_(std::move(settings)),
      source_(std::move(source)),
      labels_(labels.begin(), labels.end()) {
  quant::check_settings(settings_);
  lower::require_operators(network_);
  const std::vector<Range> limits = settle_masks(network_, source_, settings_.bits);
  source_ = limited(std::move(source_), limits);
  auto made = std::make_unique<ops::Executor>(network_);
  calib::Statistics ranges = calib::scan(*made, source_, kScanSamples);
  for (const auto rewrite : {quant::bring_into_reach, quant::even_concats}) {
    if (rewrite(network_, ranges) == 0) continue;
    made = std::make_unique<ops::Executor>(network_);
    ranges = calib::scan(*made, source_, kScanSamples);
  }
  if (settings_.bits == 8) quant::part_uneven_outputs(network_, ranges);
  const ops::Executor& executor = *made;
  plan_ = quant::make_plan(network_, settings_, ranges);
  calibrate(executor, {.progress = [&](std::int64_t done, std::int64_t total) {
              if (progress) progress("calibrate", done, total);
            }});
  run_ = run_float(executor, inputs_of(source_, pick_samples().fitted), *plan_, reconstructs());
  if (settings_.round_weights) gather_covariances(executor);
  measure_step_noise(run_.fitted);
}

Workbench::Workbench(Graph network, const Workbench& other)
    : network_(std::move(network)),
      settings_(other.settings_),
      source_{static_cast<std::int64_t>(other.run_.fitted), [&run = other.run_](std::int64_t i) {
                return run.inputs[static_cast<std::size_t>(i)];
              }} {
  ESPQUANT_ASSERT(other.held_out_, "trials are judged on what another bench has held out");
  held_out_ = true;
  const ops::Executor executor(network_);
  plan_ = quant::make_plan(network_, settings_, calib::scan(executor, source_, kScanSamples));
  run_.inputs = other.run_.inputs;
  run_.outputs = other.run_.outputs;
  run_.fitted = other.run_.fitted;
  if (reconstructs())
    run_.layer_outputs = calib::room_for_outputs(
        network_, quant::followed_layers(network_, plan_->requests), source_.count);
  calibrate(executor, {.value = [&](std::int64_t i, const ops::Executor::View& view) {
              calib::keep_outputs(network_, view, i, run_.layer_outputs);
            }});
  run_.layer_inputs = calibration_.inputs;
  if (settings_.round_weights) gather_covariances(executor);
  measure_step_noise(kTrialNoiseSamples);
}

Workbench::PickedSamples Workbench::pick_samples() const {
  std::int64_t fitted = run_samples(network_);
  std::int64_t judged = std::min(fitted, source_.count / 2);
  if (judged < kLeastJudgedSamples) judged = 0;
  fitted = std::min(fitted, source_.count - judged);
  const auto all = evenly_spread(source_.count, fitted + judged);
  PickedSamples picked;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::int64_t before = static_cast<std::int64_t>(i) * judged;
    const auto count = static_cast<std::int64_t>(all.size());
    const bool judge = (before + judged) / count > before / count;
    (judge ? picked.judged : picked.fitted).push_back(all[i]);
  }
  return picked;
}

void Workbench::hold_out() {
  if (held_out_) return;
  held_out_ = true;
  const auto judged = pick_samples().judged;
  if (judged.empty()) return;
  run_judged(ops::Executor(network_, {.observe_all = false}), inputs_of(source_, judged), run_);
}

calib::SampleSource Workbench::unseen() const {
  const PickedSamples picked = pick_samples();
  std::vector<bool> seen(static_cast<std::size_t>(source_.count), false);
  for (const auto* some : {&picked.fitted, &picked.judged})
    for (std::int64_t i : *some) seen[static_cast<std::size_t>(i)] = true;
  std::vector<std::int64_t> others;
  for (std::int64_t i = 0; i < source_.count; ++i)
    if (!seen[static_cast<std::size_t>(i)]) others.push_back(i);
  const auto count = static_cast<std::int64_t>(others.size());
  if (count < kLeastJudgedSamples) return {0, source_.sample};
  std::vector<std::int64_t> some;
  for (std::int64_t i : evenly_spread(count, static_cast<std::int64_t>(picked.fitted.size())))
    some.push_back(others[static_cast<std::size_t>(i)]);
  return {static_cast<std::int64_t>(some.size()), [some, sample = source_.sample](std::int64_t i) {
            return sample(some[static_cast<std::size_t>(i)]);
          }};
}

const Candidate& Workbench::judged(const quant::Settings& settings, Means means) {
  const auto known = std::find_if(judged_.begin(), judged_.end(), [&](const Judged& j) {
    return j.means == means && j.settings == settings;
  });
  if (known != judged_.end()) {
    std::rotate(known, known + 1, judged_.end());
  } else {
    hold_out();
    Candidate candidate = draft(settings);
    if (means == Means::AsTheyAre)
      candidate.noise = output_noise(sim::Program(candidate.lowered.model, *settings.target),
                                     candidate.graph, run_);
    else
      candidate = run_in_step(std::move(candidate), *plan_, *settings.target, run_, true);
    keep(settings, means, std::move(candidate));
  }
  return judged_.back().candidate;
}

void Workbench::keep(const quant::Settings& settings, Means means, Candidate candidate) {
  if (judged_.size() == kMostJudged) judged_.pop_front();
  judged_.push_back({settings, means, std::move(candidate)});
}

void Workbench::calibrate(const ops::Executor& executor, const calib::Watch& watch) {
  calib::Statistics& statistics = calibration_.statistics;
  statistics = calib::gather(executor, source_, plan_->requests, watch);
  // Rarely the first samples were far too tame: another pass with the windows moved settles it.
  while (quant::widen_plan(*plan_, settings_, statistics))
    statistics = calib::gather(executor, source_, plan_->requests, watch);
  calibration_.inputs = quant::layer_inputs(network_, statistics);
  for (calib::ValueStatistics& s : statistics.values) s.mean = s.mean_square = {};
  plan_->wide = quant::scores_beyond_8_bits(network_, *plan_, statistics);
  quant::widen_uneven_outputs(network_, plan_->wide);
  quant::refuse_out_of_reach(network_, *plan_,
                             quant::Widths(network_, plan_->exponents, settings_, plan_->wide),
                             statistics);
}

void Workbench::gather_covariances(const ops::Executor& executor) {
  std::vector<NodeId> layers;
  // Weights that are fitted to the chip's inputs are rounded by what is known of those. Without a
  // bias that is not certain: none may be worth adding.
  for (NodeId id : weighted_nodes(network_)) {
    const bool followed = run_.layer_outputs.contains(id);
    if (!followed || !quant::has_correctable_bias(network_, network_.node(id)) ||
        network_.node(id).input(2) == kNone)
      layers.push_back(id);
  }
  if (layers.empty()) return;
  calibration_.covariances =
      calib::gather_covariance(executor, source_, layers, kCovarianceSamples);
}

void Workbench::measure_step_noise(std::size_t most_samples) {
  // Where ranges are halved together, tensors are not chosen one by one.
  if (!plan_->uses(quant::Method::Auto) || settings_.clip_scope != quant::Scope::Tensor) return;
  const std::size_t count = std::min(run_.fitted, most_samples);
  strategy::measure_step_noise(network_, *plan_, settings_, std::span(run_.inputs).first(count),
                               calibration_);
}

bool Workbench::reconstructs() const {
  return settings_.reconstruct && source_.count >= kLeastReconstructionSamples;
}

FloatRun Workbench::part_of_run(std::int64_t count) const {
  const auto fitted = static_cast<std::int64_t>(run_.fitted);
  const auto all = static_cast<std::int64_t>(run_.inputs.size());
  std::vector<std::vector<Tensor>> inputs;
  for (std::int64_t i : evenly_spread(fitted, count))
    inputs.push_back(run_.inputs[static_cast<std::size_t>(i)]);
  FloatRun part = run_float(ops::Executor(network_), std::move(inputs), *plan_, reconstructs());
  part.fits_wide = false;
  for (std::int64_t i : evenly_spread(all - fitted, count)) {
    part.inputs.push_back(run_.inputs[static_cast<std::size_t>(fitted + i)]);
    part.outputs.push_back(run_.outputs[static_cast<std::size_t>(fitted + i)]);
  }
  return part;
}

Candidate Workbench::draft(const quant::Settings& settings) const {
  Candidate candidate;
  candidate.graph = network_;
  quant::Plan plan = *plan_;
  quant::choose_methods(network_, settings, plan);
  quant::Quantized made = quant::quantize(candidate.graph, plan, calibration_, settings);
  candidate.scaled = std::move(made.scaled);
  candidate.factors = std::move(made.factors);
  candidate.fits_weights = settings.reconstruct;
  candidate.lowered =
      lower::lower(candidate.graph, *settings.target, {.table_error = settings.table_error});
  schedule::protect_from_in_place_writes(candidate.lowered.model, *settings.target, latency_);
  return candidate;
}

Candidate Workbench::make(const quant::Settings& settings, Means means) {
  if (means == Means::AsTheyAre) return judged(settings, means);
  Candidate matched = judged(settings, means);
  const Candidate& plain = judged(settings, Means::AsTheyAre);
  return matched.noise.is_below(1, plain.noise) ? std::move(matched) : plain;
}

double Workbench::milliseconds_of(const espdl::Model& model, const Target& target) const {
  if (!rearranged_) return cost::estimate_latency(model, target, latency_).milliseconds;
  schedule::OptimizeOptions options;
  options.goal.latency = true;
  const auto made = schedule::optimize(model, {target, latency_}, options);
  return cost::estimate_latency(made.model, target, latency_).milliseconds;
}

quant::Settings Workbench::with_fitting_settled(const quant::Settings& settings, Means means) {
  if (means == Means::AsTheyAre || !reconstructs() || !settings.reconstruct) return settings;
  const Candidate& fitted = judged(settings, means);
  if (run_.first_judged() == 0 || fitted.noise.ratio() <= kOverfitted * fitted.fitted_noise.ratio())
    return settings;
  const measure::OutputNoise noise = fitted.noise;
  quant::Settings without = settings;
  without.reconstruct = false;
  return judged(without, means).noise.is_below(1, noise) ? without : settings;
}

quant::Settings settings_of(const recipe::Recipe& recipe, const Graph& network,
                            const Target& target) {
  std::vector<std::string> names;
  for (NodeId id : network.topological_order())
    for (std::string& name : names_of(network, network.node(id))) names.push_back(std::move(name));
  recipe::check_layer_patterns(recipe, names);

  quant::Settings settings;
  settings.target = &target;
  settings.bits = recipe.quantization.bits;
  settings.weight_bits = recipe.quantization.weight_bits.value_or(settings.weight_bits);
  settings.method = recipe.calibration.method;
  settings.clip_scope = recipe.calibration.scope;
  settings.percentile = recipe.calibration.percentile;
  settings.stated_ranges = recipe.calibration.qdq_ranges;
  settings.per_channel_weights =
      recipe.quantization.granularity == recipe::Granularity::Auto
          ? target.per_channel_weights
          : recipe.quantization.granularity == recipe::Granularity::Channel;
  settings.scale_layers = recipe.quantization.scale_layers;
  settings.round_weights = recipe.quantization.round_weights;
  settings.bias_correction = recipe.quantization.bias_correction != recipe::BiasCorrection::None;
  settings.reconstruct = recipe.quantization.reconstruct && recipe.quantization.round_weights &&
                         recipe.quantization.bias_correction == recipe::BiasCorrection::Empirical &&
                         !recipe.quantization.keep_zeros;
  settings.keep_zeros = recipe.quantization.keep_zeros;
  settings.alignment_cost = recipe.quantization.alignment_cost;
  settings.table_error = recipe.quantization.table_error;
  if (recipe.layers.empty()) return settings;
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    const recipe::Recipe::LayerRule rule = recipe::layer_rule_for(recipe, names_of(network, n));
    if (rule.bits) settings.layer_bits[n.name] = *rule.bits;
    if (rule.weight_bits) settings.layer_weight_bits[n.name] = *rule.weight_bits;
    if (rule.method) settings.layer_methods[n.name] = *rule.method;
    if (rule.percentile) settings.layer_percentiles[n.name] = *rule.percentile;
  }
  return settings;
}

std::vector<std::string> matching_layers(const Graph& network,
                                         std::span<const std::string> patterns) {
  std::vector<std::string> layers;
  for (NodeId id : network.topological_order()) {
    const Node& n = network.node(id);
    if (recipe::any_matches(patterns, names_of(network, n))) layers.push_back(n.name);
  }
  return layers;
}

}  // namespace espquant::strategy
