#include "strategy/mixed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "strategy/trials.h"
#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

using test::Network;

Workbench& mixed_small_bench() {
  static Workbench bench(passes::simplify(test::small_network()), test::settings_for("esp32s3"),
                         test::random_samples(test::small_network(), 16, -1, 2));
  return bench;
}

MixedResult choose(const recipe::Recipe::Mixed& mixed, Workbench& bench = mixed_small_bench()) {
  return choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, false, true);
}

std::set<std::string> wide_layers(const MixedResult& result) {
  std::set<std::string> layers;
  for (const auto& [layer, bits] : result.settings.layer_bits)
    if (bits == 16) layers.insert(layer);
  return layers;
}

double noise_of(const quant::Settings& settings) {
  return Trials(mixed_small_bench(), settings, Means::AsTheyAre).make(settings).noise.ratio();
}

double plain_noise() { return noise_of(mixed_small_bench().settings()); }

TEST(Mixed, TakesNoMoreLayersThanAllowed) {
  for (const std::int64_t most : {1, 2}) {
    recipe::Recipe::Mixed mixed;
    mixed.max_16bit = most;
    const MixedResult result = choose(mixed);
    EXPECT_EQ(result.chosen.size(), static_cast<std::size_t>(most));
    EXPECT_EQ(wide_layers(result).size(), static_cast<std::size_t>(most));
  }
}

TEST(Mixed, WhatIsNotLookedAtInTimeStays) {
  recipe::Recipe::Mixed mixed;
  mixed.max_16bit = 2;
  Workbench& bench = mixed_small_bench();
  const auto within = [&](double seconds) {
    return choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, false, true, {},
                              Deadline(seconds));
  };
  const MixedResult at_once = within(1e-9), at_leisure = within(1e9);
  EXPECT_EQ(at_once.looked_at, 0U);
  EXPECT_TRUE(at_once.chosen.empty());
  EXPECT_EQ(at_once.settings, bench.settings());
  EXPECT_EQ(at_leisure.looked_at, at_leisure.effects.size());
  EXPECT_EQ(at_leisure.settings, choose(mixed).settings);
}

TEST(Mixed, ALayersNoiseIsThatOfItAloneAt8Bits) {
  recipe::Recipe::Mixed mixed;
  mixed.max_16bit = 1;
  const MixedResult result = choose(mixed);
  quant::Settings wide = mixed_small_bench().settings();
  for (const LayerEffect& e : result.effects) wide.layer_bits[e.layer] = 16;
  for (const LayerEffect& e : result.effects) {
    quant::Settings one_narrow = wide;
    one_narrow.layer_bits.erase(e.layer);
    EXPECT_DOUBLE_EQ(e.noise, noise_of(one_narrow) - noise_of(wide)) << e.layer;
  }
  EXPECT_TRUE(
      std::is_sorted(result.effects.begin(), result.effects.end(),
                     [](const LayerEffect& a, const LayerEffect& b) { return a.noise > b.noise; }));
}

TEST(Mixed, TakesNoiseAway) {
  recipe::Recipe::Mixed mixed;
  mixed.max_16bit = 2;
  const MixedResult result = choose(mixed);
  EXPECT_LT(noise_of(result.settings), 0.8 * plain_noise());
}

TEST(Mixed, WithoutALimitNothingWorthItIsLeft) {
  const MixedResult result = choose({});
  EXPECT_LT(noise_of(result.settings), 0.02 * plain_noise());
  for (const LayerEffect& e : result.effects)
    EXPECT_TRUE(wide_layers(result).contains(e.layer) || e.noise < 0.05 * plain_noise()) << e.layer;
}

TEST(Mixed, MeasuresEachSetOfLayersThatMoveTogetherOnce) {
  recipe::Recipe::Mixed mixed;
  mixed.max_16bit = 1;
  std::set<std::string> layers;
  for (const LayerEffect& e : choose(mixed).effects) layers.insert(e.layer);
  // Four convolutions, of which the last shares its exponent with the Add; the pool; the head.
  EXPECT_EQ(layers, (std::set<std::string>{"Conv", "Conv_1", "Conv_2", "Conv_3",
                                           "GlobalAveragePool", "Gemm"}));
}

TEST(Mixed, KeepsTheFileWithinItsBudget) {
  recipe::Recipe::Mixed mixed;
  mixed.budget_kb = 0.001;
  EXPECT_TRUE(choose(mixed).chosen.empty());
  mixed.budget_kb = 1;
  const MixedResult result = choose(mixed);
  EXPECT_FALSE(result.chosen.empty());
  for (const LayerEffect& c : result.chosen) EXPECT_LE(c.cost.bytes, 1024);
}

TEST(Mixed, KeepsTheTimeWithinItsBudget) {
  recipe::Recipe::Mixed mixed;
  mixed.budget_ms = 1e-9;
  for (const LayerEffect& c : choose(mixed).chosen) EXPECT_LE(c.cost.milliseconds, 1e-9);
  mixed.budget_ms = 0.2;
  const MixedResult result = choose(mixed);
  EXPECT_FALSE(result.chosen.empty());
  for (const LayerEffect& c : result.chosen) EXPECT_LE(c.cost.milliseconds, 0.2);
}

TEST(Mixed, TimeIsThatOfTheModelAsItWillBeRearranged) {
  // A filter of 128 KiB, which that release reads again for every pixel.
  Network net;
  const ValueId x = net.input("x", {1, 512, 8, 8});
  const Graph graph = net.finish({net.node("Conv", {x, net.random({256, 512, 1, 1})})});
  quant::Settings settings = test::settings_for("esp32s3");
  settings.target = &find_target("esp32s3").under(find_release("3.3.9"));
  Workbench bench(graph, settings, test::random_samples(graph, 8));
  const Candidate candidate = bench.draft(bench.settings());
  const auto milliseconds = [&] {
    return bench.milliseconds_of(candidate.lowered.model, *settings.target);
  };
  const double as_it_is = milliseconds();
  EXPECT_EQ(as_it_is,
            cost::estimate_latency(candidate.lowered.model, *settings.target).milliseconds);
  bench.estimate_rearranged(true);
  EXPECT_LT(milliseconds(), 0.8 * as_it_is);
}

/// Two layers whose weights are most of the file.
Graph two_large_layers() {
  Network net;
  const ValueId x = net.input("x", {1, 32, 4, 4});
  const ValueId first = net.node("Relu", {net.node("Conv", {x, net.random({64, 32, 1, 1})})});
  return net.finish({net.node("Conv", {first, net.random({32, 64, 1, 1})})});
}

TEST(Mixed, ABudgetOfBytesBuysMoreWithWeightsOf8Bits) {
  const Graph graph = two_large_layers();
  Workbench bench(graph, test::settings_for("esp32s3"), test::random_samples(graph, 32));
  recipe::Recipe::Mixed mixed;
  mixed.budget_kb = 2.5;
  const MixedResult three =
      choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, true, true);
  const MixedResult two =
      choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, false, true);
  const auto noise = [&](const quant::Settings& settings) {
    return Trials(bench, settings, Means::AsTheyAre).make(settings).noise.ratio();
  };
  EXPECT_FALSE(three.settings.layer_weight_bits.empty());
  EXPECT_LT(noise(three.settings), noise(two.settings));
  ASSERT_FALSE(three.chosen.empty());
  EXPECT_LE(three.chosen.back().cost.bytes, 2560);
  std::set<std::string> layers;
  for (const LayerEffect& c : three.chosen) {
    EXPECT_TRUE(layers.insert(c.layer).second) << "a layer is chosen once";
    for (const std::string& name : c.narrow_weights)
      EXPECT_EQ(three.settings.layer_weight_bits.at(name), 8);
  }
  for (const LayerEffect& e : three.effects) {
    ASSERT_TRUE(e.weight_noise);
    EXPECT_LT(e.narrow_cost.bytes, e.cost.bytes) << e.layer;
    EXPECT_LT(*e.weight_noise, e.noise) << e.layer;
  }
}

TEST(Mixed, WithoutABudgetWeightsAreAsWideAsActivations) {
  recipe::Recipe::Mixed mixed;
  mixed.max_16bit = 2;
  Workbench& bench = mixed_small_bench();
  const MixedResult result =
      choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, true, true);
  EXPECT_EQ(result.settings, choose(mixed).settings);
  for (const LayerEffect& e : result.effects) EXPECT_FALSE(e.weight_noise);
}

TEST(Mixed, StopsOnceTheNoiseIsLowEnough) {
  recipe::Recipe::Mixed mixed;
  mixed.noise_target = 2 * plain_noise();
  EXPECT_TRUE(choose(mixed).chosen.empty()) << "met without any";
  mixed.noise_target = 0.5 * plain_noise();
  const MixedResult result = choose(mixed);
  ASSERT_FALSE(result.chosen.empty());
  EXPECT_LE(noise_of(result.settings), *mixed.noise_target);
  for (const LayerEffect& c : result.chosen) {
    if (&c == &result.chosen.back()) break;
    quant::Settings without = result.settings;
    without.layer_bits.erase(c.layer);
    EXPECT_GT(noise_of(without), *mixed.noise_target) << c.layer << " is not needed";
  }
}

TEST(Mixed, SaysWhereAGoalCannotBeMet) {
  recipe::Recipe::Mixed mixed;
  mixed.noise_target = 0.5 * plain_noise();
  EXPECT_TRUE(choose(mixed).goals_met);
  mixed.max_16bit = 1;
  mixed.noise_target = 0.01 * plain_noise();
  const MixedResult result = choose(mixed);
  EXPECT_FALSE(result.goals_met);
  EXPECT_EQ(result.chosen.size(), 1u) << "as far as the limit goes";
}

TEST(Mixed, AnAccuracyGoalNeedsClassScores) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 4, 4});
  const Graph images = net.finish({net.node("Conv", {x, net.random({4, 4, 1, 1})})});
  Workbench bench(images, test::settings_for("esp32s3"), test::random_samples(images, 16));
  recipe::Recipe::Mixed mixed;
  mixed.accuracy_within = 0.01;
  const Error error = test::error_of([&] { choose(mixed, bench); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.remedy().find("noise_target"), std::string::npos);
}

TEST(Mixed, AnAccuracyGoalThatIsMetTakesNoLayer) {
  recipe::Recipe::Mixed mixed;
  mixed.accuracy_within = 1;
  EXPECT_TRUE(choose(mixed).chosen.empty());
}

/// Three heads on one input; the second one is always 0, whatever its bits. The third keeps the
/// input at 8 bits.
Graph heads() {
  Network net;
  const ValueId x = net.input("x", {1, 16});
  const ValueId large = net.node("Gemm", {x, net.random({16, 8}, -3, 3)});
  const ValueId below = net.node("Gemm", {x, net.random({16, 8}), net.random({8}, -101, -100)});
  const ValueId small = net.node("Sigmoid", {x});
  return net.finish({large, net.node("Relu", {below}), small});
}

TEST(Mixed, ListsAreTakenAsTheyAreAndIdleLayersNamed) {
  const Graph graph = heads();
  Workbench bench(graph, test::settings_for("esp32s3"), test::random_samples(graph, 32));
  recipe::Recipe::Mixed mixed;
  mixed.layers = {"Gemm", "Gemm_1"};
  const MixedResult result = choose(mixed, bench);
  EXPECT_EQ(wide_layers(result), (std::set<std::string>{"Gemm", "Gemm_1"}));
  EXPECT_EQ(result.idle, std::vector<std::string>{"Gemm_1"});
  EXPECT_TRUE(result.chosen.empty());
}

TEST(Mixed, LayersOfAListThatKeepEachOtherWideAreLookedAtTogether) {
  recipe::Recipe::Mixed mixed;
  // The Add has the exponent of the last convolution.
  mixed.layers = {"Conv_3", "Add"};
  EXPECT_TRUE(choose(mixed).idle.empty());
}

}  // namespace
}  // namespace espquant::strategy
