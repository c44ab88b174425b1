#include "strategy/mixed.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "cost/latency.h"
#include "espdl/writer.h"
#include "measure/evaluate.h"
#include "strategy/noise_sources.h"
#include "strategy/trials.h"

namespace espquant::strategy {
namespace {

// Samples to fit to, and to judge on, where each layer's noise is looked at by itself.
constexpr std::int64_t kLookSamples = 16;
// Layers that might take the place of the last that was chosen, and of the one before it.
constexpr std::array<std::size_t, 2> kRivals = {3, 1};
// A layer that makes a smaller share of the noise is not worth its cost; one of a list is idle.
constexpr double kMixedWorthwhile = 0.005;

struct Cost {
  std::int64_t bytes = 0;
  double milliseconds = 0;

  Cost beyond(const Cost& other) const {
    return {bytes - other.bytes, milliseconds - other.milliseconds};
  }
};

class Search {
 public:
  Search(Workbench& bench, const recipe::Recipe::Mixed& mixed, const quant::Settings& settings,
         Means means, const StageProgress& progress)
      : bench_(bench), mixed_(mixed), settings_(settings), means_(means), progress_(progress) {
    bench.hold_out();
  }

  MixedResult run() {
    layers_ = movable_layers(bench_, settings_);
    base_ = cost_of(settings_);
    const std::vector<Cost> costs = costs_with_each(settings_);
    look_for_sources();
    MixedResult result;
    for (std::size_t i = 0; i < layers_.size(); ++i) result.effects.push_back(row(i, costs[i]));
    std::stable_sort(result.effects.begin(), result.effects.end(),
                     [](const LayerEffect& a, const LayerEffect& b) { return a.noise > b.noise; });

    const std::vector<std::size_t> chosen = has_goals() ? enough_for_goals() : best_of_rivals();
    result.goals_met = goals_met_;
    result.settings = with(chosen);
    std::vector<std::size_t> before;
    for (std::size_t i : chosen) {
      before.push_back(i);
      result.chosen.push_back(row(i, cost_of(with(before)).beyond(base_)));
    }
    return result;
  }

  /// Layers of a list without which the result is not noisier: measured without each.
  std::vector<std::string> idle_layers(const quant::Settings& settings,
                                       std::span<const std::string> layers) const {
    // What shares an exponent keeps its width as long as one of its layers is on the list.
    const Graph& graph = bench_.network();
    std::map<std::string, ValueId> group_of;
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      const ValueId out = quant::first_rounded_output(graph, n);
      // What has no exponent is a group of its own: that of the first of its outputs.
      if (out != kNone || !n.outputs.empty())
        group_of.emplace(n.name, out != kNone ? bench_.plan().exponents.find(out) : n.outputs[0]);
    }
    std::vector<std::vector<std::string>> groups;
    std::map<ValueId, std::size_t> index;
    for (const std::string& layer : layers) {
      const auto [it, fresh] = index.emplace(group_of.at(layer), groups.size());
      if (fresh) groups.emplace_back();
      groups[it->second].push_back(layer);
    }
    std::vector<quant::Settings> all(groups.size() + 1, settings);
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (const std::string& layer : groups[g]) all[g].layer_bits.erase(layer);
    Trials trials(bench_, settings, means_);
    const std::vector<double> noises = noises_of(trials, all);
    std::vector<std::string> idle;
    for (std::size_t g = 0; g < groups.size(); ++g)
      if (noises[g] <= noises.back() * (1 + kMixedWorthwhile))
        idle.insert(idle.end(), groups[g].begin(), groups[g].end());
    return idle;
  }

 private:
  LayerEffect row(std::size_t layer, const Cost& cost) const {
    return {layers_[layer].name, alone_[layer], cost.bytes, cost.milliseconds};
  }

  quant::Settings with(std::span<const std::size_t> layers) const {
    quant::Settings settings = settings_;
    for (std::size_t i : layers) settings.layer_bits[layers_[i].name] = 16;
    return settings;
  }

  /// Quickest where `all` are in the order of the layers in which they differ from the base.
  std::vector<double> noises_of(Trials& trials, std::span<const quant::Settings> all) const {
    std::vector<double> noises;
    trials.make_each(all, [&](std::size_t, const Candidate& candidate) {
      noises.push_back(candidate.noise.ratio());
      report(noises.size(), all.size());
    });
    return noises;
  }

  double noise_of(const quant::Settings& settings) const {
    return bench_.judged(settings, means_).noise.ratio();
  }

  void report(std::size_t done, std::size_t total) const {
    if (progress_)
      progress_("search", static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
  }

  Cost cost_of(const quant::Settings& settings) const {
    const Candidate candidate = bench_.draft(settings);
    const espdl::Model& model = candidate.lowered.model;
    return {static_cast<std::int64_t>(espdl::write_model(model).size()),
            cost::estimate_latency(model, *settings_.target).milliseconds};
  }

  /// What each layer costs on top of `settings`, beyond what none costs.
  std::vector<Cost> costs_with_each(const quant::Settings& settings) const {
    std::vector<Cost> costs(layers_.size());
    parallel_for(static_cast<std::int64_t>(costs.size()), [&](std::int64_t i) {
      const auto l = static_cast<std::size_t>(i);
      quant::Settings with = settings;
      with.layer_bits[layers_[l].name] = 16;
      costs[l] = cost_of(with).beyond(base_);
    });
    return costs;
  }

  /// The noise that one layer or tensor makes is seen best where nothing else makes any: a small
  /// part of the whole would drown in what rounding anew changes.
  void look_for_sources() {
    const FloatRun part = bench_.part_of_run(kLookSamples);
    std::vector<std::size_t> every(layers_.size());
    std::iota(every.begin(), every.end(), std::size_t{0});
    const quant::Settings all_wide = with(every);
    const auto trials = [&] { return Trials(bench_, all_wide, means_, part); };

    std::vector<quant::Settings> one_narrow(layers_.size() + 1, all_wide);
    for (std::size_t i = 0; i < layers_.size(); ++i)
      one_narrow[i].layer_bits.erase(layers_[i].name);
    Trials of_layers = trials();
    alone_ = noises_of(of_layers, one_narrow);
    const double none = alone_.back();
    alone_.pop_back();
    for (double& noise : alone_) noise = std::max(noise - none, 0.0);

    std::vector<NoiseSource> sources;
    const std::vector<SharedTensor> tensors = shared_tensors(bench_, layers_);
    const std::vector<measure::Noise> noises = trials().narrow_each(narrowings(tensors, all_wide));
    for (std::size_t i = 0; i < tensors.size(); ++i)
      sources.push_back({std::max(noises[i].ratio() - none, 0.0), tensors[i].layers});
    sources_.emplace(alone_, std::move(sources));
  }

  /// To the 8 bits that the tensors have where all layers have them.
  std::vector<Trials::Narrowing> narrowings(std::span<const SharedTensor> tensors,
                                            const quant::Settings& all_wide) const {
    const Candidate narrow = bench_.draft(settings_);
    const Candidate wide = bench_.draft(all_wide);
    std::vector<Trials::Narrowing> narrowings;
    for (const SharedTensor& tensor : tensors) {
      const auto group = static_cast<std::size_t>(bench_.plan().scales.sets.find(tensor.value));
      const Value& value = narrow.graph.value(tensor.value);
      narrowings.push_back(
          {wide.lowered.orders.at(value.name).tensor,
           pow2(value.quant->exponent()) * wide.factors[group] / narrow.factors[group]});
    }
    return narrowings;
  }

  /// Open layers that fit beside those chosen and are worth it, the one first that takes away most
  /// noise per cost.
  std::vector<std::size_t> candidates_beside(std::span<const std::size_t> chosen) const {
    const std::size_t most =
        mixed_.max_16bit ? static_cast<std::size_t>(*mixed_.max_16bit) : layers_.size();
    if (chosen.size() >= most) return {};
    const quant::Settings settings = with(chosen);
    std::vector<bool> wide(layers_.size(), false);
    for (std::size_t i : chosen) wide[i] = true;
    // What a layer costs depends on the width of those beside it.
    std::vector<Cost> costs(layers_.size());
    Cost spent;
    if (mixed_.budget_kb || mixed_.budget_ms) {
      costs = costs_with_each(settings);
      spent = cost_of(settings).beyond(base_);
    }
    std::vector<std::pair<double, std::size_t>> found;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (wide[i] || !fits(costs[i])) continue;
      const double gain = sources_->gain(i, wide, most - chosen.size());
      // Towards a goal every little helps.
      if (gain <= (has_goals() ? 0 : kMixedWorthwhile * sources_->total())) continue;
      found.emplace_back(-gain / price(costs[i].beyond(spent)), i);
    }
    std::sort(found.begin(), found.end());
    std::vector<std::size_t> best;
    for (const auto& [unused, i] : found) best.push_back(i);
    return best;
  }

  /// As many as are allowed. What adding up cannot tell apart is measured: the last choices beside
  /// what came next.
  std::vector<std::size_t> best_of_rivals() {
    std::vector<std::size_t> chosen;
    for (std::vector<std::size_t> open = candidates_beside(chosen); !open.empty();
         open = candidates_beside(chosen))
      chosen.push_back(open.front());
    if (chosen.empty()) return chosen;
    std::vector<std::vector<std::size_t>> sets{chosen};
    for (std::size_t back = 1; back <= std::min(chosen.size(), kRivals.size()); ++back) {
      std::vector<std::size_t> others = chosen;
      others.erase(others.end() - static_cast<std::ptrdiff_t>(back));
      std::size_t rivals = 0;
      for (std::size_t i : candidates_beside(others)) {
        if (std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
        if (++rivals > kRivals[back - 1]) break;
        sets.push_back(others);
        sets.back().push_back(i);
      }
    }
    std::vector<quant::Settings> all;
    for (const auto& set : sets) all.push_back(with(set));
    Candidate best;
    std::size_t least = 0;
    Trials(bench_, all.front(), means_).make_each(all, [&](std::size_t i, Candidate candidate) {
      report(i + 1, all.size());
      if (i > 0 && candidate.noise.ratio() >= best.noise.ratio()) return;
      best = std::move(candidate);
      least = i;
    });
    bench_.keep(all[least], means_, std::move(best));
    return sets[least];
  }

  /// As few as the goals need, in the order in which they were chosen.
  std::vector<std::size_t> enough_for_goals() {
    std::vector<std::size_t> chosen;
    while (!meets_goals(with(chosen))) {
      const std::vector<std::size_t> open = candidates_beside(chosen);
      if (open.empty()) {
        goals_met_ = false;
        return chosen;
      }
      chosen.push_back(open.front());
    }
    // Others may have made a layer superfluous; the least noisy first.
    for (std::size_t i = chosen.size(); i-- > 1;) {
      std::vector<std::size_t> without = chosen;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i - 1));
      if (meets_goals(with(without))) chosen = std::move(without);
    }
    return chosen;
  }

  double price(const Cost& cost) const {
    if (mixed_.budget_kb) return static_cast<double>(std::max<std::int64_t>(cost.bytes, 1));
    if (mixed_.budget_ms) return std::max(cost.milliseconds, 1e-6);
    return 1;
  }

  bool fits(const Cost& cost) const {
    if (mixed_.budget_kb && static_cast<double>(cost.bytes) > *mixed_.budget_kb * 1024)
      return false;
    return !mixed_.budget_ms || cost.milliseconds <= *mixed_.budget_ms;
  }

  bool has_goals() const { return mixed_.noise_target || mixed_.accuracy_within; }

  bool meets_goals(const quant::Settings& settings) const {
    if (mixed_.noise_target && noise_of(settings) > *mixed_.noise_target) return false;
    return !mixed_.accuracy_within || accuracy_loss(settings) <= *mixed_.accuracy_within;
  }

  // On few samples what the chip gets right by chance may hide what it loses, so at least half of
  // the samples lost count. Without labels, the share of answers that differ from float's.
  double accuracy_loss(const quant::Settings& settings) const {
    const Candidate candidate = bench_.make(settings, means_);
    const ops::Executor reference(bench_.network(), {.observe_all = false});
    const sim::Program program(candidate.lowered.model, *settings_.target);
    const measure::Evaluation result =
        measure::evaluate(program, bench_.network(), &reference, bench_.source(), bench_.labels());
    if (result.accuracy)
      return std::max(*result.reference_accuracy - *result.accuracy, *result.lost / 2);
    if (result.agreement) return 1 - *result.agreement;
    throw Error(ErrorCode::Usage, "mixed.accuracy_within needs a network that gives class scores")
        .remedy("Use mixed.noise_target instead");
  }

  Workbench& bench_;
  const recipe::Recipe::Mixed& mixed_;
  const quant::Settings& settings_;
  Means means_;
  const StageProgress& progress_;
  /// In the order of execution.
  std::vector<MovableLayer> layers_;
  /// Of each layer: noise to signal that it makes alone at 8 bits.
  std::vector<double> alone_;
  std::optional<NoiseSources> sources_;
  /// Of the candidate without 16-bit layers.
  Cost base_;
  bool goals_met_ = true;
};

}  // namespace

MixedResult choose_wide_layers(Workbench& bench, const recipe::Recipe::Mixed& mixed,
                               const quant::Settings& settings, Means means,
                               const StageProgress& progress) {
  Search search(bench, mixed, settings, means, progress);
  MixedResult result;
  if (mixed.layers.empty()) {
    result = search.run();
  } else {
    const std::vector<std::string> layers = matching_layers(bench.network(), mixed.layers);
    result.settings = settings;
    for (const std::string& layer : layers) result.settings.layer_bits[layer] = 16;
    result.idle = search.idle_layers(result.settings, layers);
  }
  return result;
}

}  // namespace espquant::strategy
