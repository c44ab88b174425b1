#include "strategy/mixed.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/parallel.h"
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
// Side by side, between looks at the clock.
constexpr std::size_t kTimedTrials = 8;
// A layer that makes a smaller share of the noise is not worth its cost; one of a list is idle.
constexpr double kMixedWorthwhile = 0.005;

/// One step of the search: a layer gets a width. A later step may widen it again.
struct Step {
  std::size_t layer = 0;
  LayerWidth to = LayerWidth::Wide;

  bool operator==(const Step&) const = default;
};
using Steps = std::vector<Step>;

class Search {
 public:
  Search(Workbench& bench, const recipe::Recipe::Mixed& mixed, const quant::Settings& settings,
         Means means, bool offer_w8a16, const StageProgress& progress, const Deadline& deadline)
      : bench_(bench),
        mixed_(mixed),
        settings_(settings),
        means_(means),
        offer_w8a16_(offer_w8a16 && settings.target->release.has(Feature::W8A16) &&
                     (mixed.budget_kb || mixed.budget_ms)),
        progress_(progress),
        deadline_(deadline) {
    bench.hold_out();
  }

  MixedResult run() {
    layers_ = movable_layers(bench_, settings_);
    base_ = cost_of(settings_);
    const std::vector<WidthCost> wide = costs_with({}, every(LayerWidth::Wide));
    const Steps narrow_weights = every(LayerWidth::NarrowWeights);
    const std::vector<WidthCost> narrow = costs_with({}, narrow_weights);
    look_for_sources();
    MixedResult result;
    for (std::size_t i = 0; i < layers_.size(); ++i) result.effects.push_back(row(i, wide[i]));
    for (std::size_t k = 0; k < narrow_weights.size(); ++k) {
      const std::size_t i = narrow_weights[k].layer;
      result.effects[i].weight_noise = weights_alone_[i];
      result.effects[i].narrow_cost = narrow[k];
    }
    std::stable_sort(result.effects.begin(), result.effects.end(),
                     [](const LayerEffect& a, const LayerEffect& b) { return a.noise > b.noise; });

    const Steps chosen = settled(has_goals() ? enough_for_goals() : best_of_rivals());
    result.goals_met = goals_met_;
    result.looked_at = looked_at_;
    result.settings = with(chosen);
    Steps before;
    for (const Step& step : chosen) {
      before.push_back(step);
      result.chosen.push_back(row(step.layer, cost_of(with(before)).beyond(base_)));
      if (step.to == LayerWidth::NarrowWeights)
        result.chosen.back().narrow_weights = layers_[step.layer].narrow_weights;
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
  LayerEffect row(std::size_t layer, const WidthCost& cost) const {
    return {layers_[layer].name, alone_[layer], cost, {}, {}, {}};
  }

  quant::Settings with(std::span<const Step> steps) const {
    quant::Settings settings = settings_;
    for (const Step& step : steps) {
      const MovableLayer& layer = layers_[step.layer];
      settings.layer_bits[layer.name] = 16;
      for (const std::string& name : layer.narrow_weights)
        if (step.to == LayerWidth::NarrowWeights)
          settings.layer_weight_bits[name] = 8;
        else
          settings.layer_weight_bits.erase(name);
    }
    return settings;
  }

  /// Each layer to that width, as far as that is a choice.
  Steps every(LayerWidth to) const {
    Steps steps;
    for (std::size_t i = 0; i < layers_.size(); ++i)
      if (to == LayerWidth::Wide || (offer_w8a16_ && !layers_[i].narrow_weights.empty()))
        steps.push_back({i, to});
    return steps;
  }

  std::vector<LayerWidth> widths_after(std::span<const Step> steps) const {
    std::vector<LayerWidth> widths(layers_.size(), LayerWidth::Narrow);
    for (const Step& step : steps) widths[step.layer] = step.to;
    return widths;
  }

  /// Each layer once, where it was chosen first, with the width that it ended with.
  Steps settled(std::span<const Step> steps) const {
    const std::vector<LayerWidth> widths = widths_after(steps);
    Steps once;
    for (const Step& step : steps)
      if (const Step last{step.layer, widths[step.layer]};
          std::find(once.begin(), once.end(), last) == once.end())
        once.push_back(last);
    return once;
  }

  /// Quickest where `all` are in the order of the layers in which they differ from the base. Fewer
  /// where the time is over before.
  std::vector<double> noises_of(Trials& trials, std::span<const quant::Settings> all) const {
    std::vector<double> noises;
    while_there_is_time(all, [&](std::span<const quant::Settings> some) {
      trials.make_each(some, [&](std::size_t, const Candidate& candidate) {
        noises.push_back(candidate.noise.mean_ratio());
        report(noises.size(), all.size());
      });
    });
    return noises;
  }

  /// Calls `visit` with all of them at once or, where the search has an end, with some after the
  /// other until then.
  template <typename T, typename Visit>
  void while_there_is_time(std::span<const T> all, const Visit& visit) const {
    const std::size_t most = deadline_.seconds() > 0 ? kTimedTrials : all.size();
    while (!all.empty() && !deadline_.is_over()) {
      const auto some = all.first(std::min(all.size(), most));
      visit(some);
      all = all.subspan(some.size());
    }
  }

  double noise_of(const quant::Settings& settings) const {
    return bench_.judged(settings, means_).noise.ratio();
  }

  void report(std::size_t done, std::size_t total) const {
    if (progress_)
      progress_("search", static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
  }

  WidthCost cost_of(const quant::Settings& settings) const {
    const Candidate candidate = bench_.draft(settings);
    const espdl::Model& model = candidate.lowered.model;
    return {static_cast<std::int64_t>(espdl::write_model(model).size()),
            bench_.milliseconds_of(model, *settings_.target)};
  }

  /// What each of `steps` costs on top of those that were `taken`, beyond what none costs.
  std::vector<WidthCost> costs_with(std::span<const Step> taken, const Steps& steps) const {
    std::vector<WidthCost> costs(steps.size());
    parallel_for(static_cast<std::int64_t>(costs.size()), [&](std::int64_t i) {
      const auto s = static_cast<std::size_t>(i);
      Steps all(taken.begin(), taken.end());
      all.push_back(steps[s]);
      costs[s] = cost_of(with(all)).beyond(base_);
    });
    return costs;
  }

  /// The noise that one layer or tensor makes is seen best where nothing else makes any: a small
  /// part of the whole would drown in what rounding anew changes.
  void look_for_sources() {
    const FloatRun part = bench_.part_of_run(kLookSamples);
    const quant::Settings all_wide = with(every(LayerWidth::Wide));
    const auto trials = [&] { return Trials(bench_, all_wide, means_, part); };

    std::vector<quant::Settings> one_narrow(layers_.size(), all_wide);
    for (std::size_t i = 0; i < layers_.size(); ++i)
      one_narrow[i].layer_bits.erase(layers_[i].name);
    Trials of_layers = trials();
    alone_ = noises_of(of_layers, one_narrow);
    const double none = of_layers.make(all_wide).noise.mean_ratio();
    looked_at_ = alone_.size();
    for (double& noise : alone_) noise = std::max(noise - none, 0.0);
    alone_.resize(layers_.size(), 0.0);
    look_for_weights(trials(), all_wide, none);
    look_for_tensors(trials(), all_wide, none);
  }

  /// Of what layers share; those that were not looked at in time make none.
  void look_for_tensors(Trials trials, const quant::Settings& all_wide, double none) {
    const std::vector<SharedTensor> tensors = shared_tensors(bench_, layers_);
    const std::vector<Trials::Narrowing> narrowings =
        narrowings_of(bench_, tensors, settings_, all_wide);
    std::vector<NoiseSource> sources;
    while_there_is_time(std::span(narrowings), [&](std::span<const Trials::Narrowing> some) {
      for (const measure::OutputNoise& noise : trials.narrow_each(some))
        sources.push_back(
            {std::max(noise.mean_ratio() - none, 0.0), tensors[sources.size()].layers});
    });
    sources_.emplace(alone_, std::move(sources), weights_alone_);
  }

  /// The noise of each layer's weights: at 8 bits in the network of 16, which makes `none`.
  void look_for_weights(Trials trials, const quant::Settings& all_wide, double none) {
    weights_alone_.assign(layers_.size(), 0.0);
    const Steps steps = every(LayerWidth::NarrowWeights);
    if (steps.empty()) return;
    std::vector<quant::Settings> one_narrow(steps.size(), all_wide);
    for (std::size_t k = 0; k < steps.size(); ++k)
      for (const std::string& name : layers_[steps[k].layer].narrow_weights)
        one_narrow[k].layer_weight_bits[name] = 8;
    const std::vector<double> noises = noises_of(trials, one_narrow);
    for (std::size_t k = 0; k < noises.size(); ++k)
      weights_alone_[steps[k].layer] = std::max(noises[k] - none, 0.0);
  }

  /// Steps that are left, whatever they cost: as many layers as are allowed, each wider than it is.
  Steps open_steps(std::span<const LayerWidth> widths, std::size_t room) const {
    Steps steps;
    for (const LayerWidth to : {LayerWidth::NarrowWeights, LayerWidth::Wide})
      if (to == LayerWidth::Wide || use_w8a16_)
        for (const Step& step : every(to)) {
          const LayerWidth now = widths[step.layer];
          if (now < to && (now != LayerWidth::Narrow || room > 0)) steps.push_back(step);
        }
    return steps;
  }

  /// Steps that fit beside those chosen and are worth it, the one first that takes away most noise
  /// per cost.
  Steps candidates_beside(std::span<const Step> chosen) const {
    const std::size_t most =
        mixed_.max_16bit ? static_cast<std::size_t>(*mixed_.max_16bit) : layers_.size();
    const std::vector<LayerWidth> widths = widths_after(chosen);
    const auto taken =
        static_cast<std::size_t>(std::count_if(widths.begin(), widths.end(), [](LayerWidth width) {
          return width != LayerWidth::Narrow;
        }));
    const std::size_t room = most - std::min(taken, most);
    const Steps open = open_steps(widths, room);
    // What a layer costs depends on the width of those beside it.
    std::vector<WidthCost> costs(open.size());
    WidthCost spent;
    if (mixed_.budget_kb || mixed_.budget_ms) {
      costs = costs_with(chosen, open);
      spent = cost_of(with(chosen)).beyond(base_);
    }
    std::vector<std::pair<double, std::size_t>> found;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (!fits(costs[i])) continue;
      const double gain = sources_->gain(open[i].layer, open[i].to, widths, room);
      // Towards a goal every little helps.
      if (gain <= (has_goals() ? 0 : kMixedWorthwhile * sources_->total())) continue;
      found.emplace_back(-gain / price(costs[i].beyond(spent)), i);
    }
    std::sort(found.begin(), found.end());
    Steps best;
    for (const auto& [unused, i] : found) best.push_back(open[i]);
    return best;
  }

  Steps greedy() const {
    Steps chosen;
    for (Steps open = candidates_beside(chosen); !open.empty(); open = candidates_beside(chosen))
      chosen.push_back(open.front());
    return chosen;
  }

  /// As many as are allowed. What adding up cannot tell apart is measured: the last choices beside
  /// what came next.
  Steps best_of_rivals() {
    const Steps chosen = greedy();
    if (chosen.empty() || deadline_.is_over()) return chosen;
    std::vector<Steps> sets{chosen};
    if (offer_w8a16_) {
      // The cheapest steps may take the budget from a better one.
      use_w8a16_ = false;
      sets.push_back(greedy());
      use_w8a16_ = true;
    }
    for (std::size_t back = 1; back <= std::min(chosen.size(), kRivals.size()); ++back) {
      Steps others = chosen;
      others.erase(others.end() - static_cast<std::ptrdiff_t>(back));
      std::size_t rivals = 0;
      for (const Step& step : candidates_beside(others)) {
        if (std::find(chosen.begin(), chosen.end(), step) != chosen.end()) continue;
        if (++rivals > kRivals[back - 1]) break;
        sets.push_back(others);
        sets.back().push_back(step);
      }
    }
    std::vector<quant::Settings> all;
    for (const auto& set : sets) all.push_back(with(set));
    Candidate best;
    std::size_t least = 0;
    Trials(bench_, all.front(), means_).make_each(all, [&](std::size_t i, Candidate candidate) {
      report(i + 1, all.size());
      if (i > 0 && !candidate.noise.is_below(1, best.noise)) return;
      best = std::move(candidate);
      least = i;
    });
    bench_.keep(all[least], means_, std::move(best));
    return sets[least];
  }

  /// As few as the goals need, in the order in which they were chosen.
  Steps enough_for_goals() {
    Steps chosen;
    while (!meets_goals(with(chosen))) {
      const Steps open = candidates_beside(chosen);
      if (open.empty() || deadline_.is_over()) {
        goals_met_ = false;
        return chosen;
      }
      chosen.push_back(open.front());
    }
    // Others may have made a layer superfluous; the least noisy first.
    for (std::size_t i = chosen.size(); i-- > 1 && !deadline_.is_over();) {
      Steps without = chosen;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i - 1));
      if (meets_goals(with(without))) chosen = std::move(without);
    }
    return chosen;
  }

  double price(const WidthCost& cost) const {
    if (mixed_.budget_kb) return static_cast<double>(std::max<std::int64_t>(cost.bytes, 1));
    if (mixed_.budget_ms) return std::max(cost.milliseconds, 1e-6);
    return 1;
  }

  bool fits(const WidthCost& cost) const {
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
  bool offer_w8a16_;
  /// False while sets without W8A16 are looked for.
  bool use_w8a16_ = true;
  const StageProgress& progress_;
  const Deadline& deadline_;
  std::size_t looked_at_ = 0;
  /// In the order of execution.
  std::vector<MovableLayer> layers_;
  /// Of each layer: noise to signal that it makes alone at 8 bits.
  std::vector<double> alone_;
  /// Likewise, that its weights make at 8 bits, where W8A16 is a choice.
  std::vector<double> weights_alone_;
  std::optional<NoiseSources> sources_;
  /// Of the candidate without 16-bit layers.
  WidthCost base_;
  bool goals_met_ = true;
};

}  // namespace

MixedResult choose_wide_layers(Workbench& bench, const recipe::Recipe::Mixed& mixed,
                               const quant::Settings& settings, Means means, bool offer_w8a16,
                               bool find_idle, const StageProgress& progress,
                               const Deadline& deadline) {
  Search search(bench, mixed, settings, means, offer_w8a16, progress, deadline);
  MixedResult result;
  if (mixed.layers.empty()) {
    result = search.run();
  } else {
    const std::vector<std::string> layers = matching_layers(bench.network(), mixed.layers);
    result.settings = settings;
    for (const std::string& layer : layers) result.settings.layer_bits[layer] = 16;
    if (find_idle) result.idle = search.idle_layers(result.settings, layers);
  }
  return result;
}

}  // namespace espquant::strategy
