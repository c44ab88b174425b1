#include "quant/prelu.h"

#include <gtest/gtest.h>

#include "quant/quantize.h"
#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Network;

TEST(PReluGrowth, IsThatOfTheLargestSlope) {
  EXPECT_EQ(prelu_growth(std::vector<float>{0.25F, 1}), 0);
  EXPECT_EQ(prelu_growth(std::vector<float>{0.25F, -1}), 1);
  EXPECT_EQ(prelu_growth(std::vector<float>{4, -3.5F}), 2);
  EXPECT_EQ(prelu_growth(std::vector<float>{}), 0);
}

/// The exponents that input and output of a PRelu behind a Conv get.
std::pair<int, int> exponents_of(std::string_view target, int bits, std::vector<float> slopes) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 6, 6});
  const ValueId conv = net.node("Conv", {x, net.random({4, 3, 3, 3})});
  const ValueId slope = net.floats({4, 1, 1}, std::move(slopes));
  Graph graph = net.finish({net.node("PRelu", {conv, slope})});
  Settings settings = test::settings_for(target);
  settings.bits = bits;
  settings.round_weights = settings.bias_correction = false;
  const auto found = test::calibrate(graph, settings, test::random_samples(graph, 8));
  quantize(graph, found.plan, found.calibration, settings);
  return {graph.value(conv).quant->exponent(), graph.value(graph.outputs()[0]).quant->exponent()};
}

TEST(PReluExponents, AreOneWhereTheKernelDoesNotRescale) {
  for (const char* target : {"esp32p4", "esp32"}) {
    const auto [in, out] = exponents_of(target, 8, {0.25F, 0.5F, -0.25F, 1.75F});
    EXPECT_EQ(in, out) << target;
  }
  for (const char* target : {"esp32s3", "esp32p4", "esp32"}) {
    const auto [in, out] = exponents_of(target, 16, {0.25F, 0.5F, -0.25F, 0.75F});
    EXPECT_EQ(in, out) << target;
  }
}

TEST(PReluExponents, OfSlopesAlongSeveralAxesAreTheirOwn) {
  for (const Shape& slopes : {Shape{4, 6, 1}, Shape{4, 1, 1}}) {
    Network net;
    const ValueId x = net.input("x", {1, 4, 6, 6});
    const ValueId y = net.node("PRelu", {x, net.random(slopes)});
    const Graph graph = net.finish({y});
    EXPECT_EQ(
        prelu_wants_one_exponent(graph, test::producer_of(graph, y), 16, find_target("esp32p4")),
        slopes[1] == 1);
  }
}

// x - clip(x) is smaller than x, which the Sub reads in the exponent of its result.
TEST(PReluExponents, CoverTheOperandsOfASumBeforeIt) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId rest =
      net.node("Sub", {x, net.node("Clip", {x, net.scalar(-1.2F), net.scalar(1.2F)})});
  const ValueId y = net.node("PRelu", {rest, net.floats({4, 1, 1}, {0.25F, 0.5F, -0.25F, 0.1F})});
  Graph graph = net.finish({y, x});
  Settings settings = test::settings_for("esp32");
  settings.bits = 16;
  const auto found = test::calibrate(graph, settings, test::random_samples(graph, 8, -3, 3));
  quantize(graph, found.plan, found.calibration, settings);
  EXPECT_GE(graph.value(rest).quant->exponent(), graph.value(x).quant->exponent());
}

TEST(PReluExponents, StayApartWhereOneWouldCostMuch) {
  const auto [in, out] = exponents_of("esp32", 8, {30, 0.5F, -0.25F, 40});
  EXPECT_LT(in, out);
}

}  // namespace
}  // namespace espquant::quant
