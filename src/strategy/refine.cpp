#include "strategy/refine.h"

#include <algorithm>

#include "quant/errors.h"
#include "strategy/trials.h"

namespace espquant::strategy {
namespace {

// A step whose error is this many times that of the chosen one is out of the question: a step up
// where nothing is clipped has four times the error.
constexpr double kDoubtful = 3.5;
// Less of a gain is within what other samples would show.
constexpr double kRefineWorthwhile = 0.98;

struct Doubt {
  std::string layer;
  int step = 0;
};

std::vector<Doubt> find_doubts(const Workbench& bench, const quant::Settings& settings,
                               const Candidate& made) {
  const Graph& graph = bench.network();
  quant::Plan plan = bench.plan();
  quant::choose_methods(graph, settings, plan);
  const quant::ActivationErrors errors(graph, plan, bench.calibration().statistics);
  const quant::Widths widths(graph, plan.exponents, settings, plan.wide);
  const auto groups = plan.exponents.members();
  std::vector<bool> seen(graph.value_count(), false);
  std::vector<Doubt> doubts;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    const ValueId out = quant::first_rounded_output(graph, n);
    if (out == kNone) continue;
    const auto group = static_cast<std::size_t>(plan.exponents.find(out));
    if (seen[group] || widths.of(out) != 8) continue;
    seen[group] = true;
    const auto& quant = made.graph.value(out).quant;
    if (!quant) continue;
    const float factor = made.factors[static_cast<std::size_t>(plan.scales.sets.find(out))];
    // By what readers see of each member and by what each loses by itself: where one of them sees
    // little difference, the simulation decides.
    const auto seen_by_readers = errors.members(groups[group]);
    auto by_themselves = seen_by_readers;
    for (auto& member : by_themselves) member.share = 1;
    for (int step : {-1, 1}) {
      const auto is_doubtful = [&](const auto& members) {
        return errors.relative(members, factor, quant->exponent() + step, 8) <
               kDoubtful * errors.relative(members, factor, quant->exponent(), 8);
      };
      if (is_doubtful(seen_by_readers) || is_doubtful(by_themselves))
        doubts.push_back({n.name, step});
    }
  }
  return doubts;
}

}  // namespace

std::vector<quant::Method> methods_to_compare(const recipe::Recipe& recipe) {
  if (recipe.calibration.method != recipe::Recipe().calibration.method) return {};
  // The layers of mixed were chosen among rivals for the method that it has; what other methods
  // would add is not worth their time.
  const bool has_rivals =
      recipe.mixed.enabled && !recipe.mixed.noise_target && !recipe.mixed.accuracy_within;
  if (has_rivals) return {};
  return {quant::Method::Auto, quant::Method::Mse, quant::Method::Percentile};
}

RefineResult refine_exponents(Workbench& bench, const quant::Settings& settings,
                              std::span<const quant::Method> others, Means means,
                              const StageProgress& progress) {
  RefineResult result{settings, 0, 0};
  bench.serve(others);
  bench.hold_out();
  Trials trials(bench, settings, means);
  std::vector<quant::Settings> methods;
  for (quant::Method method : others) {
    methods.push_back(settings);
    methods.back().method = method;
    // Nobody asked for a method that clips at 16 bits.
    methods.back().clip_wide = false;
  }
  Candidate best = bench.judged(settings, means);
  trials.make_each(methods, [&](std::size_t i, Candidate candidate) {
    if (!candidate.noise.is_below(kRefineWorthwhile, best.noise)) return;
    best = std::move(candidate);
    result.settings = methods[i];
  });
  trials.rebase(result.settings);
  const std::vector<Doubt> doubts = find_doubts(bench, result.settings, best);
  result.doubtful = static_cast<int>(doubts.size());
  for (std::size_t i = 0; i < doubts.size(); ++i) {
    quant::Settings moved = result.settings;
    moved.exponent_shifts[doubts[i].layer] += doubts[i].step;
    Candidate candidate = trials.make(moved);
    if (candidate.noise.is_below(kRefineWorthwhile, best.noise)) {
      best = std::move(candidate);
      trials.rebase(moved);
      result.settings = std::move(moved);
      ++result.moved;
    }
    if (progress)
      progress("refine", static_cast<std::int64_t>(i + 1),
               static_cast<std::int64_t>(doubts.size()));
  }
  bench.keep(result.settings, means, std::move(best));
  return result;
}

}  // namespace espquant::strategy
