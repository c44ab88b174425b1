#include "search/searcher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace espquant::search {
namespace {

/// A network of ten layers whose noise and costs are known: what a layer adds to the noise at 8
/// bits, and what 16 cost.
struct Landscape {
  static constexpr std::size_t kLayers = 10;

  static double noise_of_layer(std::size_t l) { return 0.001 * std::pow(1.7, (7 * l) % kLayers); }
  static double ms_of_layer(std::size_t l) { return 1.0 + static_cast<double>((3 * l) % 4); }

  static std::string layer(std::size_t l) { return "layer" + std::to_string(l); }

  static Outcome measure(const Work& work) {
    Outcome o;
    if (work.kind == Work::Kind::Layers) {
      for (std::size_t l = 0; l < kLayers; ++l) o.layers.push_back({layer(l), {layer(l)}});
      o.tensors = {{"between", {2, 3}}};
      return o;
    }
    double noise = 1e-4, ms = 10, kb = 100;
    for (std::size_t l = 0; l < kLayers; ++l) {
      const std::vector<std::string> name{layer(l)};
      const bool wide = recipe::any_matches(work.recipe.mixed.layers, name);
      const bool narrow_weights = recipe::layer_rule_for(work.recipe, name).weight_bits == 8;
      if (!wide) noise += noise_of_layer(l);
      if (wide && narrow_weights) noise += 0.2 * noise_of_layer(l);
      if (wide) ms += ms_of_layer(l) * (narrow_weights ? 0.5 : 1);
      if (wide && !narrow_weights) kb += 8;
    }
    if (work.recipe.calibration.method == quant::Method::Mse) noise *= 0.8;
    if (work.recipe.calibration.method == quant::Method::MinMax) noise *= 2;
    if (work.recipe.quantization.refine_exponents) noise *= 0.95;
    if (work.recipe.quantization.bits == 16) noise = 1e-5, ms = 60, kb = 200;
    o.judged = o.judged_mean = noise;
    o.milliseconds = ms;
    o.flash = static_cast<std::int64_t>(1024 * kb);
    o.ram = 1000;
    if (work.kind != Work::Kind::Trial) return o;
    o.noise = noise;
    for (int p = 0; p < 8; ++p) o.part_noises.push_back(noise * (1 + 0.001 * p));
    o.accuracy_drop = noise;
    o.file = work.key();
    return o;
  }
};

/// Measures the landscape, so many trials of it.
class FakeDesk : public Desk {
 public:
  explicit FakeDesk(std::size_t trials) : left_(trials) {}

  std::vector<std::optional<Outcome>> ask(std::span<const Work> works) override {
    std::vector<std::optional<Outcome>> outcomes(works.size());
    for (std::size_t i = 0; i < works.size() && !over_; ++i) {
      const std::string key = works[i].key();
      const bool trial = works[i].kind == Work::Kind::Trial;
      if (trial && !known_.contains(key)) {
        if (left_ == 0) over_ = true;
        if (over_) break;
        --left_;
      }
      keys.push_back(key);
      known_[key] = Landscape::measure(works[i]);
      outcomes[i] = known_[key];
    }
    return outcomes;
  }
  bool over() const override { return over_; }

  std::vector<std::string> keys;

 private:
  std::map<std::string, Outcome> known_;
  std::size_t left_;
  bool over_ = false;
};

std::vector<recipe::Recipe> starts() {
  return {recipe::find_recipe("int8"), recipe::find_recipe("int16")};
}

Findings search_for(const Plan& plan, Desk& desk) {
  return run_search(whole_space(), plan, recipe::find_recipe("int8"), starts(), desk);
}

Merit best_of(const Findings& found, const Plan& plan) {
  std::vector<Merit> merits;
  for (const std::size_t i : found.measured()) merits.push_back(found.tried[i].outcome.merit());
  return merits.at(*recommended_of(merits, plan.goals, plan.minimized));
}

Plan plan_for(double noise, Order order = Order::Best) {
  Plan plan;
  plan.goals = {{Metric::Noise, noise}};
  plan.minimized = Metric::Milliseconds;
  plan.order = order;
  return plan;
}

/// The fewest milliseconds at which 16 bits, or weights of 8 below them, for some layers reach a
/// noise, with the calibration and refinement that are best everywhere: every set of layers tried.
double least_ms_for(double noise) {
  double least = 1e9;
  std::size_t sets = 1;
  for (std::size_t l = 0; l < Landscape::kLayers; ++l) sets *= 3;
  for (std::size_t set = 0; set < sets; ++set) {
    double sum = 1e-4, ms = 10;
    std::size_t rest = set;
    for (std::size_t l = 0; l < Landscape::kLayers; ++l, rest /= 3) {
      const double own = Landscape::noise_of_layer(l);
      sum += rest % 3 == 0 ? own : rest % 3 == 1 ? 0.2 * own : 0;
      ms += Landscape::ms_of_layer(l) * (rest % 3 == 0 ? 0 : rest % 3 == 1 ? 0.5 : 1);
    }
    if (0.8 * 0.95 * sum <= noise) least = std::min(least, ms);
  }
  return least;
}

TEST(Searcher, ComesNearTheBestThatThereIs) {
  for (const double goal : {0.1, 0.03, 0.01}) {
    FakeDesk desk(120);
    const Plan plan = plan_for(goal);
    const Merit best = best_of(search_for(plan, desk), plan);
    EXPECT_LE(best.noise, goal);
    EXPECT_LE(best.milliseconds, 1.05 * least_ms_for(goal)) << goal;
  }
}

TEST(Searcher, NeedsAFractionOfTheTrialsOfOtherOrders) {
  const Plan plan = plan_for(0.02);
  FakeDesk few(48);
  const double ours = best_of(search_for(plan, few), plan).milliseconds;
  for (const Order order : {Order::Random, Order::Exhaustive}) {
    FakeDesk many(480);
    const Plan other = plan_for(0.02, order);
    const Merit best = best_of(search_for(other, many), other);
    EXPECT_TRUE(best.noise > 0.02 || best.milliseconds >= ours)
        << static_cast<int>(order) << ": " << best.milliseconds << " and " << ours;
  }
}

TEST(Searcher, AsksTheSameWhereTheOutcomesAreTheSame) {
  FakeDesk a(60), b(60);
  const Plan plan = plan_for(0.02);
  search_for(plan, a);
  search_for(plan, b);
  EXPECT_EQ(a.keys, b.keys);
}

TEST(Searcher, AShorterBudgetIsTheBeginningOfALongerOne) {
  FakeDesk few(20), many(60);
  const Plan plan = plan_for(0.02);
  const Findings short_search = search_for(plan, few), long_search = search_for(plan, many);
  ASSERT_EQ(short_search.tried.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_EQ(short_search.tried[i].work.key(), long_search.tried[i].work.key()) << i;
}

TEST(Searcher, TriesTheStartsFirstAndNothingTwice) {
  FakeDesk desk(80);
  const Findings found = search_for(plan_for(0.02), desk);
  EXPECT_EQ(found.tried[0].work.recipe.name, "int8");
  EXPECT_EQ(found.tried[1].work.recipe.name, "int16");
  std::map<std::string, int> times;
  for (const Tried& t : found.tried) EXPECT_EQ(++times[t.work.key()], 1) << t.reason;
}

TEST(Searcher, EndsByItselfWhereNothingIsLeftToGain) {
  FakeDesk desk(100000);
  const Findings found = search_for(plan_for(0.02), desk);
  EXPECT_FALSE(desk.over());
  EXPECT_LT(found.tried.size(), 2000u);
  EXPECT_NE(found.end, "budget");
}

TEST(Searcher, SaysWhatMatters) {
  FakeDesk desk(150);
  const Findings found = search_for(plan_for(0.02), desk);
  ASSERT_EQ(found.layer_noises.size(), Landscape::kLayers);
  for (std::size_t l = 0; l < Landscape::kLayers; ++l)
    EXPECT_NEAR(found.layer_noises[l].second, 0.8 * Landscape::noise_of_layer(l),
                1e-3 * Landscape::noise_of_layer(l));
  const auto refine = std::find_if(found.importance.begin(), found.importance.end(),
                                   [](const auto& i) { return i.choice == "refine"; });
  ASSERT_NE(refine, found.importance.end());
  EXPECT_NEAR(std::exp(refine->change), 0.95, 1e-9);
}

TEST(Spread, IsOfTheRatioPartByPart) {
  Outcome a, b;
  for (int p = 0; p < 8; ++p) {
    a.part_noises.push_back(0.01 * (p + 1));
    b.part_noises.push_back(0.02 * (p + 1));
  }
  EXPECT_NEAR(spread_between(a, b), 0, 1e-12);
  b.part_noises[0] = 0.08;
  EXPECT_GT(spread_between(a, b), 0.1);
  EXPECT_EQ(spread_between(a, Outcome()), 0);
}

}  // namespace
}  // namespace espquant::search
