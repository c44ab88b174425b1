#include "quant/scores.h"

#include <gtest/gtest.h>

#include "quant/widths.h"
#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Network;

struct ScoresNetwork {
  Network net;
  ValueId x = net.input("x", {1, 8});
  ValueId hidden = net.node("Gemm", {x, net.random({8, 8})});
  ValueId scores = net.node("Gemm", {net.node("Relu", {hidden}), net.random({8, 4})});
  ValueId scaled = net.node("Mul", {scores, net.scalar(0.5F)});
  ValueId moved = net.node("Reshape", {scaled, net.ints({4, 1})});
  ValueId y = net.node("Softmax", {moved}, {{"axis", std::int64_t{0}}});
  Graph graph = net.finish({y});
};

/// Bits of every value when the inputs reach `range`.
Widths widths_at(const Graph& graph, float range, std::map<std::string, int> layer_bits = {}) {
  Settings settings = test::settings_for("esp32s3");
  settings.layer_bits = std::move(layer_bits);
  const auto found =
      test::calibrate(graph, settings, test::random_samples(graph, 8, -range, range));
  return Widths(graph, found.plan.exponents, settings,
                scores_beyond_8_bits(graph, found.plan, found.calibration.statistics));
}

TEST(Scores, OfAnOrdinaryRangeStayNarrow) {
  const ScoresNetwork n;
  const Widths widths = widths_at(n.graph, 1);
  for (ValueId v : {n.x, n.hidden, n.scores, n.scaled, n.moved}) EXPECT_EQ(widths.of(v), 8);
}

TEST(Scores, BeyondTheTableAreWideUpToTheLayerThatMakesThem) {
  const ScoresNetwork n;
  const Widths widths = widths_at(n.graph, 1000);
  for (ValueId v : {n.scores, n.scaled, n.moved}) EXPECT_EQ(widths.of(v), 16);
  for (ValueId v : {n.x, n.hidden}) EXPECT_EQ(widths.of(v), 8);
}

TEST(Scores, KeepAWidthThatIsAskedForByName) {
  const ScoresNetwork n;
  const std::string mul = n.graph.node(n.graph.value(n.scaled).producer).name;
  EXPECT_EQ(widths_at(n.graph, 1000, {{mul, 8}}).of(n.moved), 8);
}

TEST(Scores, ThatAreAnInputAreWideThere) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  const Graph graph = net.finish({net.node("LogSoftmax", {x})});
  EXPECT_EQ(widths_at(graph, 1000).of(x), 16);
}

}  // namespace
}  // namespace espquant::quant
