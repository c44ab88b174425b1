#include "quant/widths.h"

#include <gtest/gtest.h>

#include "tests/quant/calibrated.h"
#include "tests/support/errors.h"

namespace espquant::quant {
namespace {

using test::Network;

/// x, two convolutions with a Relu behind each: Conv, Relu, Conv_1, Relu_1.
struct TwoLayers {
  Network net;
  ValueId x = net.input("x", {1, 4, 6, 6});
  ValueId first = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  ValueId between = net.node("Relu", {first});
  ValueId second = net.node("Conv", {between, net.random({4, 4, 1, 1})});
  ValueId last = net.node("Relu", {second});
  Graph graph = net.finish({last});
};

Widths widths_of(const Graph& graph, int bits, std::map<std::string, int> layer_bits = {}) {
  Settings settings = test::settings_for("esp32s3");
  settings.bits = bits;
  settings.layer_bits = std::move(layer_bits);
  return Widths(graph, exponent_groups(graph), settings);
}

TEST(Widths, AreTheSettingsWhereNoLayerIsNamed) {
  const TwoLayers n;
  for (const int bits : {8, 16}) {
    const Widths widths = widths_of(n.graph, bits);
    for (ValueId v : {n.x, n.first, n.between, n.second, n.last}) EXPECT_EQ(widths.of(v), bits);
  }
}

TEST(Widths, ALayerAndItsActivationMoveTogether) {
  const TwoLayers n;
  for (const char* named : {"Conv_1", "Relu_1"}) {
    const Widths widths = widths_of(n.graph, 8, {{named, 16}});
    EXPECT_EQ(widths.of(n.between), 8) << named;
    EXPECT_EQ(widths.of(n.second), 16) << named;
    EXPECT_EQ(widths.of(n.last), 16) << named;
  }
}

TEST(Widths, OfTwoNamesInAGroupTheWiderWins) {
  const TwoLayers n;
  EXPECT_EQ(widths_of(n.graph, 8, {{"Conv_1", 8}, {"Relu_1", 16}}).of(n.last), 16);
  EXPECT_EQ(widths_of(n.graph, 16, {{"Conv_1", 8}}).of(n.last), 8);
}

TEST(Widths, AnInputFollowsItsReader) {
  const TwoLayers n;
  EXPECT_EQ(widths_of(n.graph, 8, {{"Conv", 16}}).of(n.x), 16);
}

TEST(Widths, AnInputTakesTheNarrowestOfSeveralReaders) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId a = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const ValueId b = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const Graph graph = net.finish({a, b});
  EXPECT_EQ(widths_of(graph, 8, {{"Conv", 16}}).of(x), 8);
  EXPECT_EQ(widths_of(graph, 8, {{"Conv", 16}, {"Conv_1", 16}}).of(x), 16);
}

TEST(Widths, ResizeTakesWhatItIsGiven) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId before = net.node("Sigmoid", {x});
  const ValueId resized = net.node("Resize", {before, kNone, net.floats({4}, {1, 1, 2, 2})},
                                   {{"mode", std::string("linear")}});
  const ValueId after = net.node("Sigmoid", {resized});
  const Graph graph = net.finish({after});
  EXPECT_EQ(widths_of(graph, 16).of(resized), 16);
  EXPECT_EQ(widths_of(graph, 16).of(after), 16);
  EXPECT_EQ(widths_of(graph, 8, {{"Resize", 16}}).of(resized), 16);
}

TEST(Widths, ANodeComputesInTheWidthOfItsOutputUnlessThatIsFloat) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId scores = net.node("Sigmoid", {x});
  const ValueId shares = net.node("Softmax", {scores});
  const Graph graph = net.finish({shares});
  const Widths widths = widths_of(graph, 8, {{"Sigmoid", 16}});
  EXPECT_EQ(widths.of(graph, test::producer_of(graph, scores)), 16);
  EXPECT_EQ(widths.of(graph, test::producer_of(graph, shares)), 16);
}

TEST(Widths, WeightsBelow16BitsMayHave8WhereThereIsAKernel) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId dense = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const ValueId depthwise =
      net.node("Conv", {dense, net.random({4, 1, 3, 3})}, {{"group", std::int64_t{4}}});
  const ValueId in_groups =
      net.node("Conv", {depthwise, net.random({4, 2, 1, 1})}, {{"group", std::int64_t{2}}});
  const ValueId last = net.node("Conv", {in_groups, net.random({2, 4, 1, 1})});
  const Graph graph = net.finish({last});
  const auto weights = [&](const Settings& settings) {
    const Widths widths(graph, exponent_groups(graph), settings);
    std::vector<int> bits;
    for (ValueId v : {dense, depthwise, in_groups, last})
      bits.push_back(widths.of_weights(graph, test::producer_of(graph, v)));
    return bits;
  };
  Settings settings = test::settings_for("esp32s3");
  settings.weight_bits = 8;
  EXPECT_EQ(weights(settings), (std::vector<int>{8, 8, 8, 8}));
  settings.bits = 16;
  EXPECT_EQ(weights(settings), (std::vector<int>{8, 16, 8, 8})) << "none is depthwise's";
  settings.layer_weight_bits["Conv_3"] = 16;
  EXPECT_EQ(weights(settings), (std::vector<int>{8, 16, 8, 16}));
  settings.layer_bits["Conv_3"] = 8;
  EXPECT_EQ(weights(settings), (std::vector<int>{8, 16, 8, 8})) << "never wider than activations";
}

TEST(Widths, AnUnknownLayerIsRefusedWithTheNearestName) {
  const TwoLayers n;
  const Error slip = test::error_of([&] { widths_of(n.graph, 8, {{"Conv_l", 16}}); });
  EXPECT_EQ(slip.code(), ErrorCode::Usage);
  EXPECT_NE(slip.message().find("'Conv_l'"), std::string::npos);
  EXPECT_NE(slip.remedy().find("'Conv"), std::string::npos) << slip.remedy();
  const Error unlike = test::error_of([&] { widths_of(n.graph, 8, {{"classifier", 16}}); });
  EXPECT_NE(unlike.remedy().find("inspect"), std::string::npos) << unlike.remedy();
}

}  // namespace
}  // namespace espquant::quant
