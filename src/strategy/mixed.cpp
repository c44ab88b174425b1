#include "strategy/mixed.h"

#include <fmt/format.h>

#include <algorithm>

#include "cost/latency.h"
#include "espdl/writer.h"
#include "strategy/evaluate.h"
#include "strategy/trials.h"

namespace espquant::strategy {
namespace {

// Samples on which layers are compared.
constexpr std::int64_t kComparedSamples = 64;
// Layers that are measured again on top of what was chosen.
constexpr std::size_t kMeasuredAgain = 6;
// A 16-bit layer of a list that lowers the noise by less is idle.
constexpr double kWorthwhile = 0.005;

struct Cost {
  std::int64_t bytes = 0;
  double milliseconds = 0;
};

/// One set of layers that change width together, by the layer that stands for it.
std::vector<std::string> movable_layers(const Workbench& bench, const quant::Settings& settings) {
  const Graph& graph = bench.network();
  const quant::Widths widths(graph, bench.plan().exponents, settings);
  std::vector<std::string> layers;
  std::vector<bool> seen(graph.value_count(), false);
  // A layer with weights speaks for its group, else the first that rounds.
  for (const bool weighted : {true, false}) {
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      if (quant::is_weighted(graph, n) != weighted || n.outputs.empty() || n.outputs[0] == kNone)
        continue;
      const ValueId v = n.outputs[0];
      const auto group = static_cast<std::size_t>(bench.plan().exponents.find(v));
      const auto& members = bench.plan().rounded;
      if (!quant::is_quantizable(graph, v) || seen[group] || widths.of(v) != 8) continue;
      // A width that the recipe gives by name is not for the search to change.
      if (settings.layer_bits.contains(n.name)) {
        seen[group] = true;
        continue;
      }
      if (!weighted && !members[static_cast<std::size_t>(v)]) continue;
      quant::Settings wide = settings;
      wide.layer_bits[n.name] = 16;
      if (quant::Widths(graph, bench.plan().exponents, wide).of(v) != 16) continue;
      seen[group] = true;
      layers.push_back(n.name);
    }
  }
  return layers;
}

class Search {
 public:
  Search(const Workbench& bench, const Recipe::Mixed& mixed, const quant::Settings& settings,
         Means means, const lower::Options& options, const StageProgress& progress)
      : bench_(bench),
        mixed_(mixed),
        settings_(settings),
        quick_(means == Means::AsTheyAre ? means : Means::Match),
        means_(means),
        options_(options),
        progress_(progress),
        excerpt_(bench.excerpt(kComparedSamples)) {
    for (NodeId id : bench.network().topological_order())
      place_of_.emplace(bench.network().node(id).name, place_of_.size());
  }

  MixedResult run() {
    MixedResult result;
    const Candidate plain = bench_.make(settings_, quick_, options_, excerpt_);
    base_ = cost_of(plain);
    Noise now = plain.noise;
    std::vector<std::string> open = movable_layers(bench_, settings_);
    result.sensitivities = measure(settings_, open);
    sort_by_merit(result.sensitivities, now, {});
    std::vector<WideChoice> ranked = result.sensitivities;
    Cost spent;
    quant::Settings chosen = settings_;
    while (!ranked.empty() && !is_done(result.chosen.size(), now, chosen)) {
      if (!result.chosen.empty()) {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < std::min(kMeasuredAgain, ranked.size()); ++i)
          names.push_back(ranked[i].layer);
        std::vector<WideChoice> again = measure(chosen, names);
        std::copy(again.begin(), again.end(), ranked.begin());
        sort_by_merit(std::span(ranked).first(again.size()), now, spent);
      }
      const auto next = std::find_if(ranked.begin(), ranked.end(), [&](const WideChoice& c) {
        return fits({c.bytes, c.milliseconds}) && c.noise.noise < now.noise;
      });
      if (next == ranked.end()) break;
      chosen.layer_bits[next->layer] = 16;
      now = next->noise;
      spent = {next->bytes, next->milliseconds};
      result.chosen.push_back(*next);
      ranked.erase(next);
    }
    result.settings = std::move(chosen);
    return result;
  }

  /// What every layer of a list contributes: measured without it.
  std::vector<std::string> idle_layers(const quant::Settings& settings,
                                       const std::vector<std::string>& layers) const {
    const double with_all = bench_.make(settings, quick_, options_, excerpt_).noise.ratio();
    std::vector<std::string> idle;
    for (const std::string& layer : layers) {
      quant::Settings without = settings;
      without.layer_bits.erase(layer);
      const double ratio = bench_.make(without, quick_, options_, excerpt_).noise.ratio();
      if (ratio <= with_all * (1 + kWorthwhile)) idle.push_back(layer);
    }
    return idle;
  }

 private:
  Cost cost_of(const Candidate& candidate) const {
    const espdl::Model& model = candidate.lowered.model;
    return {static_cast<std::int64_t>(espdl::write_model(model).size()),
            cost::estimate_latency(model, *settings_.target).milliseconds};
  }

  // In the order in which the layers run.
  std::vector<WideChoice> measure(const quant::Settings& around,
                                  std::vector<std::string> layers) const {
    std::sort(layers.begin(), layers.end(), [&](const std::string& a, const std::string& b) {
      return place_of_.at(a) < place_of_.at(b);
    });
    Trials trials(bench_, around, quick_, options_, excerpt_);
    std::vector<WideChoice> measured;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      quant::Settings settings = around;
      settings.layer_bits[layers[i]] = 16;
      const Candidate candidate = trials.make(settings);
      const Cost cost = cost_of(candidate);
      measured.push_back({layers[i], candidate.noise, cost.bytes - base_.bytes,
                          cost.milliseconds - base_.milliseconds});
      if (progress_)
        progress_("search", static_cast<std::int64_t>(i + 1),
                  static_cast<std::int64_t>(layers.size()));
    }
    return measured;
  }

  // Noise that a layer takes away, per cost.
  void sort_by_merit(std::span<WideChoice> choices, const Noise& now, const Cost& spent) const {
    const auto merit = [&](const WideChoice& c) {
      const double gain = now.noise - c.noise.noise;
      if (gain <= 0) return gain;
      if (mixed_.budget_kb)
        return gain / static_cast<double>(std::max<std::int64_t>(c.bytes - spent.bytes, 1));
      if (mixed_.budget_ms) return gain / std::max(c.milliseconds - spent.milliseconds, 1e-6);
      return gain;
    };
    std::stable_sort(choices.begin(), choices.end(),
                     [&](const WideChoice& a, const WideChoice& b) { return merit(a) > merit(b); });
  }

  bool fits(const Cost& cost) const {
    if (mixed_.budget_kb && static_cast<double>(cost.bytes) > *mixed_.budget_kb * 1024)
      return false;
    return !mixed_.budget_ms || cost.milliseconds <= *mixed_.budget_ms;
  }

  bool is_done(std::size_t count, const Noise& now, const quant::Settings& chosen) const {
    if (mixed_.max_16bit && static_cast<std::int64_t>(count) >= *mixed_.max_16bit) return true;
    if (mixed_.noise_target && now.ratio() <= *mixed_.noise_target) return true;
    if (!mixed_.accuracy_within) return false;
    return accuracy_loss(bench_.make(chosen, means_, options_)) <= *mixed_.accuracy_within;
  }

  // Points of accuracy below float; without labels, the share of answers that differ from float's.
  double accuracy_loss(const Candidate& candidate) const {
    const FloatRun& run = bench_.run();
    const calib::SampleSource source{
        static_cast<std::int64_t>(run.inputs.size()),
        [&](std::int64_t i) { return run.inputs[static_cast<std::size_t>(i)]; }};
    const ops::Executor reference(bench_.network(), {.observe_all = false});
    const sim::Program program(candidate.lowered.model, *settings_.target);
    const Evaluation result = evaluate(program, bench_.network(), &reference, source, run.labels);
    if (result.accuracy) return *result.reference_accuracy - *result.accuracy;
    if (result.agreement) return 1 - *result.agreement;
    throw Error(ErrorCode::Usage, "mixed.accuracy_within needs a network that gives class scores")
        .remedy("Use mixed.noise_target instead");
  }

  const Workbench& bench_;
  const Recipe::Mixed& mixed_;
  const quant::Settings& settings_;
  /// In comparisons, where matching is always worth it.
  Means quick_;
  Means means_;
  const lower::Options& options_;
  const StageProgress& progress_;
  FloatRun excerpt_;
  /// Of a layer, in the order of execution.
  std::map<std::string, std::size_t> place_of_;
  Cost base_;
};

}  // namespace

MixedResult choose_wide_layers(const Workbench& bench, const Recipe::Mixed& mixed,
                               const quant::Settings& settings, Means means,
                               const lower::Options& options, const StageProgress& progress) {
  Search search(bench, mixed, settings, means, options, progress);
  MixedResult result;
  if (mixed.layers.empty()) {
    result = search.run();
  } else {
    const std::vector<std::string> layers = matching_layers(bench.network(), mixed.layers);
    result.settings = settings;
    for (const std::string& layer : layers) result.settings.layer_bits[layer] = 16;
    result.idle = search.idle_layers(result.settings, layers);
  }
  result.candidate = bench.make(result.settings, means, options);
  return result;
}

}  // namespace espquant::strategy
