#include "quant/uneven_outputs.h"

#include "quant/widths.h"
#include "tests/quant/detector.h"

namespace espquant::quant {
namespace {

using test::Detector;
using test::Network;

calib::Statistics statistics_of_uneven(const Graph& graph) {
  return calib::scan(ops::Executor(graph), test::random_samples(graph, 8), 8);
}

std::int64_t part(Graph& graph) { return part_uneven_outputs(graph, statistics_of_uneven(graph)); }

/// Of two convolutions of the input, one of them `size` times as large, joined.
struct TwoOfSize {
  Network net;
  ValueId x = net.input("x", {1, 4, 3, 3});
  ValueId one, other, joined;
  explicit TwoOfSize(float size)
      : one(layer(1)), other(layer(size)), joined(net.node("Concat", {one, other}, kChannels)) {}
  ValueId layer(float size) {
    return net.node("Conv", {x, net.random({4, 4, 1, 1}, -size, size)},
                    {{"kernel_shape", test::Ints{1, 1}}});
  }
  inline static const test::AttributeList kChannels{{"axis", std::int64_t{1}}};
};

TEST(UnevenOutputs, SmallPartsKeepExponentsOfTheirOwnAndAreJoinedAt16Bits) {
  Detector detector(100);
  Graph graph = detector.finish();
  // Objectness and classes, each of both scales.
  EXPECT_EQ(part(graph), 2);
  const ValueSets exponents = exponent_groups(graph);
  for (const auto* parts : {&detector.boxes, &detector.scores})
    for (ValueId v : *parts) EXPECT_NE(exponents.find(v), exponents.find(detector.all));
  for (ValueId v : detector.joined) EXPECT_EQ(exponents.find(v), exponents.find(detector.all));

  std::vector<bool> wide(graph.value_count(), false);
  widen_uneven_outputs(graph, wide);
  Settings settings = test::settings_for("esp32s3");
  const Widths widths(graph, exponents, settings, wide);
  for (const auto* parts : {&detector.boxes, &detector.scores})
    for (ValueId v : *parts) EXPECT_EQ(widths.of(v), 8);
  for (ValueId v : detector.joined) EXPECT_EQ(widths.of(v), 16);
  EXPECT_EQ(widths.of(graph.outputs()[0]), 16);

  // What is asked for by name counts.
  settings.layer_bits = {{graph.node(graph.value(detector.all).producer).name, 8}};
  EXPECT_EQ(Widths(graph, exponents, settings, wide).of(detector.all), 8);
}

TEST(UnevenOutputs, NameTheirParts) {
  Detector detector(100);
  Graph graph = detector.finish();
  EXPECT_TRUE(parts_of_uneven_output(graph, graph.outputs()[0]).empty());
  part(graph);
  EXPECT_EQ(parts_of_uneven_output(graph, graph.outputs()[0]),
            (std::vector<ValueId>{detector.boxes[0], detector.boxes[1], detector.scores[0],
                                  detector.scores[2], detector.scores[1], detector.scores[3]}));
}

TEST(UnevenOutputs, PartsOfOneSizeShareAnExponent) {
  Detector detector(0.5F);
  Graph boxes_as_small = detector.finish();
  EXPECT_EQ(part(boxes_as_small), 0);
  TwoOfSize alike(3);
  Graph graph = alike.net.finish({alike.joined});
  EXPECT_EQ(part(graph), 0);
  EXPECT_EQ(exponent_groups(graph).find(alike.one), exponent_groups(graph).find(alike.joined));
}

TEST(UnevenOutputs, OnlyWhatNoLayerReads) {
  TwoOfSize shown(1000), read(1000), both(1000);
  Graph graph = shown.net.finish({shown.joined});
  EXPECT_EQ(part(graph), 1);
  // There the small part may be scaled (quant/even_concats).
  graph = read.net.finish({read.net.node("Sigmoid", {read.joined})});
  EXPECT_EQ(part(graph), 0);
  const ValueId also = both.net.node("Tanh", {both.joined});
  graph = both.net.finish({both.joined, also});
  EXPECT_EQ(part(graph), 0);
}

TEST(UnevenOutputs, AReluShowsThemToo) {
  TwoOfSize parts(1000);
  const ValueId y = parts.net.node("Relu", {parts.joined});
  Graph graph = parts.net.finish({y});
  EXPECT_EQ(part(graph), 1);
  const ValueSets exponents = exponent_groups(graph);
  EXPECT_EQ(exponents.find(y), exponents.find(parts.joined));
  EXPECT_NE(exponents.find(parts.one), exponents.find(parts.joined));
}

TEST(UnevenOutputs, ConstantsAreParts) {
  TwoOfSize parts(1);
  const ValueId anchors = parts.net.random({1, 1, 3, 3}, -5000, 5000);
  Graph graph =
      parts.net.finish({parts.net.node("Concat", {parts.one, anchors}, TwoOfSize::kChannels)});
  EXPECT_EQ(part(graph), 1);
}

TEST(UnevenOutputs, AValueThatIsJoinedWithItselfAgainAndAgainTakesNoTime) {
  TwoOfSize parts(1000);
  ValueId v = parts.joined;
  for (int i = 0; i < 60; ++i)
    v = parts.net.node("Slice", {parts.net.node("Concat", {v, v}, TwoOfSize::kChannels),
                                 parts.net.ints({0}), parts.net.ints({8}), parts.net.ints({1})});
  Graph graph = parts.net.finish({v});
  EXPECT_LE(part(graph), 64);
}

}  // namespace
}  // namespace espquant::quant
