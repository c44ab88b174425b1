#include "strategy/wide_weights.h"

#include <gtest/gtest.h>

#include "strategy/trials.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

/// A small first layer whose channels differ a thousandfold, before a large one.
Graph uneven_first_layer() {
  test::Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  Tensor weights(DType::Float32, {8, 4, 1, 1});
  auto w = weights.mutable_data<float>();
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = (i % 3 == 0 ? -1.0F : 0.7F) * (i < 4 ? 1000.0F : 1.0F + 0.01F * static_cast<float>(i));
  const ValueId first = net.node("Relu", {net.node("Conv", {x, net.constant(weights)})});
  Tensor even(DType::Float32, {32, 8, 1, 1});
  auto e = even.mutable_data<float>();
  for (std::size_t i = 0; i < e.size(); ++i)
    e[i] = (i % 8 == 0 ? 0.001F : 1.0F) * (0.2F + 0.1F * static_cast<float>(i % 7));
  return net.finish({net.node("Conv", {first, net.constant(even)})});
}

quant::Settings narrow_weights() {
  quant::Settings settings = test::settings_for("esp32s3");
  settings.bits = 16;
  settings.weight_bits = 8;
  return settings;
}

TEST(WideWeights, GoToTheLayerThatMakesMostNoiseForItsBytes) {
  const Graph graph = uneven_first_layer();
  Workbench bench(graph, narrow_weights(), test::random_samples(graph, 32));
  const WideWeights chosen = choose_wide_weights(bench, 0.2, bench.settings(), Means::AsTheyAre);
  EXPECT_EQ(chosen.layers, std::vector<std::string>{"Conv"}) << "32 of 288 weights";
  EXPECT_EQ(chosen.settings.layer_weight_bits.at("Conv"), 16);
  const auto noise = [&](const quant::Settings& settings) {
    return Trials(bench, settings, Means::AsTheyAre).make(settings).noise.ratio();
  };
  EXPECT_LT(noise(chosen.settings), 0.5 * noise(bench.settings()));
}

TEST(WideWeights, AreNoneWhereNoLayerFits) {
  const Graph graph = uneven_first_layer();
  Workbench bench(graph, narrow_weights(), test::random_samples(graph, 32));
  EXPECT_TRUE(choose_wide_weights(bench, 0.01, bench.settings(), Means::AsTheyAre).layers.empty());
}

TEST(WideWeights, LeaveWeightsThatTheRecipeNames) {
  const Graph graph = uneven_first_layer();
  Workbench bench(graph, narrow_weights(), test::random_samples(graph, 32));
  quant::Settings settings = bench.settings();
  settings.layer_weight_bits["Conv"] = 8;
  EXPECT_TRUE(choose_wide_weights(bench, 0.2, settings, Means::AsTheyAre).layers.empty());
}

TEST(WideWeights, MayBeThoseOfScoresThatWentTo16BitsByThemselves) {
  test::Network net;
  const ValueId x = net.input("x", {1, 16});
  const ValueId scores = net.node(
      "Gemm", {x, net.random({16, 10}, -25, 25), net.constant(Tensor(DType::Float32, {10}))});
  const Graph graph = net.finish({net.node("Softmax", {scores})});
  quant::Settings settings = narrow_weights();
  settings.bits = 8;
  Workbench bench(graph, settings, test::random_samples(graph, 32));
  const WideWeights chosen = choose_wide_weights(bench, 1, bench.settings(), Means::AsTheyAre);
  EXPECT_EQ(chosen.layers, std::vector<std::string>{"Gemm"});
}

}  // namespace
}  // namespace espquant::strategy
