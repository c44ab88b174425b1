#include <gtest/gtest.h>

#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

/// The exponent of y = Sin(x), |y| below 1, where a network that was quantized before says that it
/// reaches to `most`.
int exponent_with(float most, bool taken, std::map<std::string, Method> methods = {}) {
  test::Network net;
  const ValueId y = net.node("Sin", {net.input("x", {1, 64})});
  Graph graph = net.finish({net.node("Tanh", {y})});
  graph.value(y).stated_range = {-most, most};
  Settings settings = test::settings_for("esp32s3");
  settings.scale_layers = settings.round_weights = settings.bias_correction = false;
  settings.stated_ranges = taken;
  settings.layer_methods = std::move(methods);
  const auto c = test::calibrate(graph, settings, test::random_samples(graph, 8, -4, 4));
  quantize(graph, c.plan, c.calibration, settings);
  return graph.value(y).quant->exponent();
}

TEST(StatedRanges, AreTakenWhereTheyAreAskedFor) {
  EXPECT_EQ(exponent_with(8, false), -7);
  EXPECT_EQ(exponent_with(7.9F, true), -4);
  EXPECT_EQ(exponent_with(0.24F, true), -9) << "what is beyond them is clipped";
}

TEST(StatedRanges, AMethodOfTheLayerGoesBefore) {
  EXPECT_EQ(exponent_with(0.24F, true, {{"Sin", Method::Sqnr}}), -7);
}

}  // namespace
}  // namespace espquant::quant
