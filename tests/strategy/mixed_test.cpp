#include "strategy/mixed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

using test::Network;

const Workbench& small_bench() {
  static const Workbench bench(passes::simplify(test::small_network()),
                               test::settings_for("esp32s3"),
                               test::random_samples(test::small_network(), 16, -1, 2));
  return bench;
}

MixedResult choose(const Recipe::Mixed& mixed, const Workbench& bench = small_bench()) {
  return choose_wide_layers(bench, mixed, bench.settings(), Means::AsTheyAre, {});
}

std::set<std::string> wide_layers(const MixedResult& result) {
  std::set<std::string> layers;
  for (const auto& [layer, bits] : result.settings.layer_bits)
    if (bits == 16) layers.insert(layer);
  return layers;
}

double plain_noise() {
  return small_bench().make(small_bench().settings(), Means::AsTheyAre).noise.ratio();
}

TEST(Mixed, TakesNoMoreLayersThanAllowed) {
  for (const std::int64_t most : {1, 2}) {
    Recipe::Mixed mixed;
    mixed.max_16bit = most;
    const MixedResult result = choose(mixed);
    EXPECT_EQ(result.chosen.size(), static_cast<std::size_t>(most));
    EXPECT_EQ(wide_layers(result).size(), static_cast<std::size_t>(most));
  }
}

TEST(Mixed, TakesTheLayerFirstThatGainsMost) {
  Recipe::Mixed mixed;
  mixed.max_16bit = 1;
  const MixedResult result = choose(mixed);
  ASSERT_EQ(result.chosen.size(), 1u);
  for (const WideChoice& other : result.sensitivities)
    EXPECT_LE(result.chosen[0].noise.noise, other.noise.noise) << other.layer;
  EXPECT_LT(result.candidate.noise.ratio(), plain_noise());
  EXPECT_DOUBLE_EQ(result.candidate.noise.ratio(), result.chosen[0].noise.ratio())
      << "what was measured is what is made";
}

TEST(Mixed, MeasuresEachSetOfLayersThatMoveTogetherOnce) {
  Recipe::Mixed mixed;
  mixed.max_16bit = 1;
  std::set<std::string> layers;
  for (const WideChoice& c : choose(mixed).sensitivities) layers.insert(c.layer);
  // Four convolutions, of which the last shares its exponent with the Add; the pool; the head.
  EXPECT_EQ(layers, (std::set<std::string>{"Conv", "Conv_1", "Conv_2", "Conv_3",
                                           "GlobalAveragePool", "Gemm"}));
}

TEST(Mixed, KeepsTheFileWithinItsBudget) {
  Recipe::Mixed mixed;
  mixed.budget_kb = 0.001;
  EXPECT_TRUE(choose(mixed).chosen.empty());
  mixed.budget_kb = 1;
  const MixedResult result = choose(mixed);
  EXPECT_FALSE(result.chosen.empty());
  for (const WideChoice& c : result.chosen) EXPECT_LE(c.bytes, 1024);
}

TEST(Mixed, KeepsTheTimeWithinItsBudget) {
  Recipe::Mixed mixed;
  mixed.budget_ms = 1e-9;
  for (const WideChoice& c : choose(mixed).chosen) EXPECT_LE(c.milliseconds, 1e-9);
  mixed.budget_ms = 0.2;
  const MixedResult result = choose(mixed);
  EXPECT_FALSE(result.chosen.empty());
  for (const WideChoice& c : result.chosen) EXPECT_LE(c.milliseconds, 0.2);
}

TEST(Mixed, StopsOnceTheNoiseIsLowEnough) {
  Recipe::Mixed mixed;
  mixed.noise_target = 2 * plain_noise();
  EXPECT_TRUE(choose(mixed).chosen.empty()) << "met without any";
  mixed.noise_target = 0.5 * plain_noise();
  const MixedResult result = choose(mixed);
  ASSERT_FALSE(result.chosen.empty());
  EXPECT_LE(result.chosen.back().noise.ratio(), *mixed.noise_target);
  for (std::size_t i = 0; i + 1 < result.chosen.size(); ++i)
    EXPECT_GT(result.chosen[i].noise.ratio(), *mixed.noise_target) << "one more than needed";
}

TEST(Mixed, AnAccuracyGoalNeedsClassScores) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 4, 4});
  const Graph images = net.finish({net.node("Conv", {x, net.random({4, 4, 1, 1})})});
  const Workbench bench(images, test::settings_for("esp32s3"), test::random_samples(images, 16));
  Recipe::Mixed mixed;
  mixed.accuracy_within = 0.01;
  const Error error = test::error_of([&] { choose(mixed, bench); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.remedy().find("noise_target"), std::string::npos);
}

TEST(Mixed, AnAccuracyGoalThatIsMetTakesNoLayer) {
  Recipe::Mixed mixed;
  mixed.accuracy_within = 1;
  EXPECT_TRUE(choose(mixed).chosen.empty());
}

/// Three heads on one input; what the second one adds to the signal is next to nothing. The third
/// keeps the input at 8 bits.
Graph heads() {
  Network net;
  const ValueId x = net.input("x", {1, 16});
  const ValueId large = net.node("Gemm", {x, net.random({16, 8}, -3, 3)});
  const ValueId tiny = net.node("Gemm", {x, net.random({16, 8}, -1e-3F, 1e-3F)});
  const ValueId small = net.node("Sigmoid", {x});
  return net.finish({large, tiny, small});
}

TEST(Mixed, ListsAreTakenAsTheyAreAndIdleLayersNamed) {
  const Graph graph = heads();
  const Workbench bench(graph, test::settings_for("esp32s3"), test::random_samples(graph, 32));
  Recipe::Mixed mixed;
  mixed.layers = {"Gemm*"};
  const MixedResult result = choose(mixed, bench);
  EXPECT_EQ(wide_layers(result), (std::set<std::string>{"Gemm", "Gemm_1"}));
  EXPECT_EQ(result.idle, std::vector<std::string>{"Gemm_1"});
  EXPECT_TRUE(result.chosen.empty());
}

}  // namespace
}  // namespace espquant::strategy
