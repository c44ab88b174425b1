#include "strategy/refine.h"

#include <map>

#include "quant/errors.h"
#include "strategy/trials.h"

namespace espquant::strategy {
namespace {

// A step whose error is this many times that of the chosen one is out of the question: a step up
// where nothing is clipped has four times the error. What was measured at the network's outputs
// leaves less in doubt.
constexpr double kDoubtful = 3.5, kMeasuredDoubtful = 2;
// Less of a gain is within what other samples would show.
constexpr double kRefineWorthwhile = 0.98;

struct Doubt {
  std::string tensor;
  int step = 0;
};

quant::Plan plan_for(const Workbench& bench, const quant::Settings& settings) {
  quant::Plan plan = bench.plan();
  quant::choose_methods(bench.network(), settings, plan);
  return plan;
}

/// Which steps from the chosen exponents are in doubt.
class Doubts {
 public:
  Doubts(const Workbench& bench, const quant::Settings& settings, const Candidate& made)
      : graph_(bench.network()),
        plan_(plan_for(bench, settings)),
        measured_(bench.calibration().statistics.step_noise),
        made_(made),
        widths_(graph_, plan_.exponents, settings, plan_.wide),
        errors_(graph_, plan_, bench.calibration().statistics),
        groups_(plan_.exponents.members()),
        seen_(graph_.value_count(), false) {}
  Doubts(const Doubts&) = delete;
  Doubts& operator=(const Doubts&) = delete;

  /// In the order in which the tensors are computed.
  std::vector<Doubt> all() {
    for (ValueId v : graph_.inputs()) see(v);
    for (NodeId id : graph_.topological_order())
      for (ValueId v : graph_.node(id).outputs) see(v);
    return std::move(doubts_);
  }

 private:
  void see(ValueId v) {
    if (v == kNone || !quant::is_quantizable(graph_, v)) return;
    const auto group = static_cast<std::size_t>(plan_.exponents.find(v));
    const auto& quant = made_.graph.value(v).quant;
    if (seen_[group] || !quant || widths_.of(v) != 8) return;
    seen_[group] = true;
    const float factor = made_.factors[static_cast<std::size_t>(plan_.scales.sets.find(v))];
    for (int step : {-1, 1})
      if (is_doubtful(group, factor, quant->exponent(), step))
        doubts_.push_back({graph_.value(v).name, step});
  }

  bool is_doubtful(std::size_t group, float factor, int exponent, int step) const {
    const auto members = errors_.members(groups_[group]);
    if (members.empty()) return false;
    if (measured_.contains(static_cast<ValueId>(group)))
      return errors_.loss(members, factor, exponent + step, 8) <
             kMeasuredDoubtful * errors_.loss(members, factor, exponent, 8);
    const auto v = static_cast<std::size_t>(members.front().value);
    // Looked at, and nothing came near.
    if (plan_.methods[v] == quant::Method::Auto && !plan_.results[v]) return false;
    // By what readers see of each member and by what each loses by itself: where one of them sees
    // little difference, the simulation decides.
    auto by_themselves = members;
    for (auto& member : by_themselves) member.share = 1;
    const auto is_near = [&](const auto& seen) {
      return errors_.relative(seen, factor, exponent + step, 8) <
             kDoubtful * errors_.relative(seen, factor, exponent, 8);
    };
    return is_near(members) || is_near(by_themselves);
  }

  const Graph& graph_;
  quant::Plan plan_;
  const std::map<ValueId, calib::StepNoise>& measured_;
  const Candidate& made_;
  quant::Widths widths_;
  quant::ActivationErrors errors_;
  std::vector<std::vector<ValueId>> groups_;
  std::vector<bool> seen_;
  std::vector<Doubt> doubts_;
};

}  // namespace

RefineResult refine_exponents(Workbench& bench, const quant::Settings& settings, Means means,
                              const StageProgress& progress) {
  RefineResult result{settings, 0, 0};
  bench.hold_out();
  Trials trials(bench, settings, means);
  Candidate best = bench.judged(settings, means);
  const std::vector<Doubt> doubts = Doubts(bench, result.settings, best).all();
  result.doubtful = static_cast<int>(doubts.size());
  for (std::size_t i = 0; i < doubts.size(); ++i) {
    quant::Settings moved = result.settings;
    moved.exponent_shifts[doubts[i].tensor] += doubts[i].step;
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
