#include "strategy/lost_outputs.h"

#include <gtest/gtest.h>

#include "strategy/last_gate.h"
#include "tests/quant/calibrated.h"
#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

using test::Network;

/// Two layers, the second with `op` at the output.
Graph two_layers(const char* op = "Relu") {
  Network net;
  const ValueId hidden = net.node("Gemm", {net.input("x", {1, 4}), net.random({4, 4})});
  return net.finish({net.node(op, {net.node("Gemm", {hidden, net.random({4, 2})})})});
}

measure::LayerNoise layer(const Graph& network, std::size_t index, double accumulated, double alone,
                          DType dtype) {
  const Node& n = network.node(network.topological_order()[index]);
  return {n.name, n.op, network.value(n.outputs[0]).name, dtype, -7, {accumulated, 1}, {alone, 1}};
}

/// An output of signal 8, whose samples differ.
measure::NoiseReport report_of(const Graph& network, double noise, bool varies = true,
                               double variation = 4, DType dtype = DType::Int8) {
  measure::NoiseReport report;
  report.samples = 4;
  report.layers = {layer(network, 0, 0.01, 0.01, dtype), layer(network, 1, 0.7, 0.6, dtype),
                   layer(network, 2, 0.7, 0, dtype)};
  report.outputs = {{"y", {noise * 8, 8}, variation, varies, 8}};
  return report;
}

TEST(LostOutputs, NoiseOfHalfTheSignalIsSaidWithLayerAndRemedy) {
  const Graph network = two_layers();
  const LostOutputs lost = find_lost_outputs(network, report_of(network, 0.7));
  ASSERT_EQ(lost.warnings.size(), 1U);
  EXPECT_NE(lost.warnings[0].find("'y'"), std::string::npos);
  EXPECT_NE(lost.warnings[0].find("70 %"), std::string::npos);
  EXPECT_NE(lost.warnings[0].find("layer.Gemm_1.bits=16"), std::string::npos) << lost.warnings[0];
  EXPECT_FALSE(lost.constant);
}

TEST(LostOutputs, APartThatIsLostBesideALargerOneIsSaid) {
  const Graph network = two_layers();
  measure::NoiseReport report = report_of(network, 0.01);
  using Part = measure::OutputNoise::Part;
  Part boxes{0, "y", "boxes", {0.01, 8}, 4, {}}, scores{0, "y", "scores", {0.0007, 0.001}, 4, {}};
  report.output = measure::OutputNoise({boxes, scores});
  const LostOutputs lost = find_lost_outputs(network, report);
  ASSERT_EQ(lost.warnings.size(), 1U);
  EXPECT_NE(lost.warnings[0].find("'scores'"), std::string::npos) << lost.warnings[0];
  EXPECT_NE(lost.warnings[0].find("70 %"), std::string::npos) << lost.warnings[0];
}

TEST(LostOutputs, SixteenBitsAreNotAdvisedWhereTheyAre) {
  const Graph network = two_layers();
  const LostOutputs lost =
      find_lost_outputs(network, report_of(network, 0.7, true, 4, DType::Int16));
  ASSERT_EQ(lost.warnings.size(), 1U);
  EXPECT_EQ(lost.warnings[0].find("bits=16"), std::string::npos);
  EXPECT_NE(lost.warnings[0].find("'Gemm_1'"), std::string::npos);
}

TEST(LostOutputs, SixteenBitsDoNotHelpWhatIsTooSmallForAnyExponent) {
  const Graph network = two_layers();
  measure::NoiseReport report = report_of(network, 0.7);
  report.layers[1].exponent = -30;
  const LostOutputs lost = find_lost_outputs(network, report);
  ASSERT_EQ(lost.warnings.size(), 1U);
  EXPECT_NE(lost.warnings[0].find("too small"), std::string::npos);
}

TEST(LostOutputs, OthersAreNot) {
  const Graph network = two_layers();
  for (const auto& report : {report_of(network, 0.4), report_of(network, 0.0, false, 0),
                             report_of(network, 0.01, false, 0.01)}) {
    const LostOutputs lost = find_lost_outputs(network, report);
    EXPECT_TRUE(lost.warnings.empty());
    EXPECT_FALSE(lost.constant);
  }
}

TEST(LostOutputs, AnOutputThatIsAlwaysTheSameIsRefused) {
  const Graph network = two_layers();
  const LostOutputs lost = find_lost_outputs(network, report_of(network, 0.3, false));
  ASSERT_TRUE(lost.constant);
  EXPECT_EQ(lost.constant->code(), ErrorCode::Illegal);
  EXPECT_EQ(lost.constant->node(), "Gemm_1");
  EXPECT_EQ(lost.constant->tensor(), "y");
  EXPECT_FALSE(lost.constant->remedy().empty());
}

TEST(LostOutputs, AlmostNothingOfASigmoidIsZero) {
  for (const char* op : {"Sigmoid", "Relu"}) {
    const Graph network = two_layers(op);
    measure::NoiseReport report = report_of(network, 1, false);
    report.outputs[0].noise = {1e-12, 1e-12};
    report.outputs[0].variation = 1e-12;
    EXPECT_EQ(find_lost_outputs(network, report).constant.has_value(), op == std::string("Relu"));
  }
}

TEST(LostOutputs, TestSamplesMayShowIt) {
  EXPECT_TRUE(warning_of(0.6));
  EXPECT_FALSE(warning_of(0.4));
}

TEST(LostOutputs, TheLastGateRefusesWhatTheChipMakesNothingOf) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  // Beside 30000 the chip rounds the input away.
  const ValueId sum = net.node("Add", {x, net.floats({1, 8}, std::vector<float>(8, 30000))});
  const Graph network = net.finish({net.node("Sub", {sum, net.floats({1}, {30000})})});
  QuantizeOptions options;
  options.recipe = recipe::find_recipe("int8");
  options.target = &find_target("esp32s3");
  const QuantizedModel made = quantize_model(network, test::random_samples(network, 16), options);
  EXPECT_FALSE(made.warnings.empty());
  const Error error = test::error_of([&] { pass_last_gate(made, *options.target); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_FALSE(error.node().empty());
}

}  // namespace
}  // namespace espquant::strategy
