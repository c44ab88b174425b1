#include "strategy/noise_sources.h"

#include <gtest/gtest.h>

#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

constexpr LayerWidth kNarrow = LayerWidth::Narrow, kNarrowWeights = LayerWidth::NarrowWeights,
                     kWide = LayerWidth::Wide;
using LayerWidths = std::vector<LayerWidth>;

TEST(NoiseSources, ATensorGoesOnceAllItsLayersAreWide) {
  // Layer 0 makes 5 in all, of which 2 are those of the tensor that it shares with layer 1.
  const NoiseSources sources(std::vector<double>{5, 3}, {{2, {0, 1}}});
  EXPECT_DOUBLE_EQ(sources.total(), 3 + 1 + 2);
  EXPECT_DOUBLE_EQ(sources.gain(1, kWide, LayerWidths{kWide, kNarrow}, 1), 1 + 2);
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, LayerWidths{kNarrow, kWide}, 1), 3 + 2);
}

TEST(NoiseSources, ATensorCountsInPartsWhereThereIsRoomForBothLayers) {
  const NoiseSources sources(std::vector<double>{5, 3}, {{2, {0, 1}}});
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, LayerWidths{kNarrow, kNarrow}, 2), 3 + 1);
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, LayerWidths{kNarrow, kNarrow}, 1), 3)
      << "the other layer stays at 8 bits";
}

TEST(NoiseSources, NoLayerMakesLessThanNothing) {
  const NoiseSources sources(std::vector<double>{1, 4}, {{2, {0, 1}}});
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, LayerWidths{kNarrow, kNarrow}, 1), 0);
}

TEST(NoiseSources, WeightsOf8BitsKeepTheirPart) {
  // Of the 5 of layer 0, 1 is that of its weights and 2 that of the tensor.
  const NoiseSources sources(std::vector<double>{5, 3}, {{2, {0, 1}}}, std::vector<double>{1, 0});
  EXPECT_DOUBLE_EQ(sources.total(), 2 + 1 + 1 + 2);
  const LayerWidths other_wide{kNarrow, kWide};
  EXPECT_DOUBLE_EQ(sources.gain(0, kNarrowWeights, other_wide, 1), 2 + 2);
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, other_wide, 1), 1 + 2 + 2);
  EXPECT_DOUBLE_EQ(sources.gain(0, kWide, LayerWidths{kNarrowWeights, kWide}, 0), 1);
  EXPECT_DOUBLE_EQ(sources.gain(1, kWide, LayerWidths{kNarrowWeights, kNarrow}, 1), 1 + 2)
      << "the activations of the other layer are wide";
}

Workbench bench_of(const Graph& network) {
  return Workbench(network, test::settings_for("esp32s3"),
                   test::random_samples(network, 16, -1, 2));
}

std::vector<std::string> noise_sources_names_of(const std::vector<MovableLayer>& layers) {
  std::vector<std::string> names;
  for (const MovableLayer& layer : layers) names.push_back(layer.name);
  return names;
}

TEST(MovableLayers, SpeakForWhatSharesTheirExponent) {
  const Workbench bench = bench_of(passes::simplify(test::small_network()));
  // The last convolution stands for the Add as well.
  EXPECT_EQ(noise_sources_names_of(movable_layers(bench, bench.settings())),
            (std::vector<std::string>{"Conv", "Conv_1", "Conv_2", "Conv_3", "GlobalAveragePool",
                                      "Gemm"}));
}

TEST(MovableLayers, WhatTheRecipeGivesAWidthIsNotOneOfThem) {
  const Workbench bench = bench_of(passes::simplify(test::small_network()));
  quant::Settings settings = bench.settings();
  settings.layer_bits["Conv_1"] = 8;
  settings.layer_bits["Gemm"] = 16;
  EXPECT_EQ(noise_sources_names_of(movable_layers(bench, settings)),
            (std::vector<std::string>{"Conv", "Conv_2", "Conv_3", "GlobalAveragePool"}));
}

TEST(MovableLayers, WhatGivesOutFloatsReadsEitherWidth) {
  test::Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId scores = net.node("Gemm", {x, net.random({8, 4})});
  const Workbench bench = bench_of(net.finish({net.node("Softmax", {scores})}));
  const std::vector<MovableLayer> layers = movable_layers(bench, bench.settings());
  EXPECT_EQ(noise_sources_names_of(layers), std::vector<std::string>{"Gemm"});
  EXPECT_TRUE(shared_tensors(bench, layers).empty());
}

TEST(SharedTensors, StandBetweenALayerAndItsReaders) {
  const Workbench bench = bench_of(passes::simplify(test::small_network()));
  const std::vector<MovableLayer> layers = movable_layers(bench, bench.settings());
  std::vector<std::vector<std::size_t>> found;
  for (const SharedTensor& t : shared_tensors(bench, layers)) found.push_back(t.layers);
  // The stem is read by the next layer and by the Add, for which the fourth layer stands.
  EXPECT_EQ(found,
            (std::vector<std::vector<std::size_t>>{{0, 1, 3}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}));
}

}  // namespace
}  // namespace espquant::strategy
