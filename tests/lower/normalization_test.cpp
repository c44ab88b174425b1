#include <gtest/gtest.h>

#include "base/fixed_point.h"
#include "sim/program.h"
#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

constexpr int kNormalizationIn = -5, kNormalizationOut = -5;

/// What the chip makes of `x`, whose values are multiples of 2^kNormalizationIn, in real numbers;
/// of a network with one input and one output in the order of the network.
std::vector<float> simulated(const Graph& graph, const Tensor& x, const char* chip) {
  const espdl::Model model = test::lowered(graph, chip);
  const sim::Program program(model, find_target(chip));
  sim::Program::Frame frame(program);
  Tensor q(DType::Int8, x.shape());
  for (std::size_t i = 0; i < x.data<float>().size(); ++i)
    q.mutable_data<std::int8_t>()[i] =
        static_cast<std::int8_t>(std::lround(std::ldexp(x.data<float>()[i], -kNormalizationIn)));
  frame.set(program.inputs()[0], q);
  frame.run();
  std::vector<float> y;
  const Tensor out = frame.tensor(program.outputs()[0]);
  for (const std::int8_t v : out.data<std::int8_t>()) y.push_back(std::ldexp(v, kNormalizationOut));
  return y;
}

/// Multiples of 2^kNormalizationIn that 8 bits hold.
Tensor on_the_grid(const Shape& shape) {
  Tensor x = test::random_tensor(shape, 3, -3, 3);
  for (float& v : x.mutable_data<float>())
    v = std::ldexp(std::round(std::ldexp(v, -kNormalizationIn)), kNormalizationIn);
  return x;
}

/// Gains and biases that 8 bits of exponent -6 hold.
Tensor normalization_parameters(const Shape& shape, std::uint64_t seed) {
  Tensor t = test::random_tensor(shape, seed, -1.5F, 1.5F);
  for (float& v : t.mutable_data<float>()) v = std::ldexp(std::round(std::ldexp(v, 6)), -6);
  return t;
}

void expect_close_to_float(const Graph& graph, const Shape& shape, std::string_view what) {
  const Tensor x = on_the_grid(shape);
  const Tensor expected = test::evaluate(graph, {x})[0];
  for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
    const std::vector<float> actual = simulated(graph, x, chip);
    ASSERT_EQ(actual.size(), expected.data<float>().size());
    for (std::size_t i = 0; i < actual.size(); ++i)
      ASSERT_NEAR(actual[i],
                  std::min(expected.data<float>()[i], 127 * std::ldexp(1.0F, kNormalizationOut)),
                  std::ldexp(0.51, kNormalizationOut))
          << what << " on " << chip << ", element " << i;
  }
}

TEST(LowerNormalization, LayerNormalizationOfTheLastAxes) {
  struct Case {
    std::int64_t axis;
    Shape gain, bias;
  };
  for (const Case& c :
       {Case{-1, {6}, {6}}, Case{-1, {1}, {6}}, Case{-2, {4, 6}, {6}}, Case{1, {4, 1}, {4, 6}}}) {
    QuantizedNetwork net;
    const ValueId x = net.input("x", {2, 4, 6}, kNormalizationIn);
    const Graph graph =
        net.finish({net.node("LayerNormalization",
                             {x, net.constant(normalization_parameters(c.gain, 8), -6),
                              net.constant(normalization_parameters(c.bias, 9), -6)},
                             {{"axis", c.axis}, {"epsilon", 1e-3F}}, kNormalizationOut)});
    expect_close_to_float(graph, {2, 4, 6}, to_string(c.gain));
  }
}

TEST(LowerNormalization, WithoutABias) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {3, 8}, kNormalizationIn);
  const Graph graph = net.finish(
      {net.node("LayerNormalization", {x, net.constant(normalization_parameters({8}, 4), -6)}, {},
                kNormalizationOut)});
  expect_close_to_float(graph, {3, 8}, "no bias");
}

TEST(LowerNormalization, RootMeanSquareKeepsItsGainInFloat) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 3, 16}, kNormalizationIn);
  const Tensor gain = test::random_tensor({16}, 5);
  const Graph graph = net.finish(
      {net.node("RMSNormalization", {x, net.constant(gain)}, {{"axis", -1}}, kNormalizationOut)});
  const espdl::Model model = test::lowered(graph);
  EXPECT_TRUE(test::constant_of(model, model.nodes.at(0), 1).data.equals(gain));
  expect_close_to_float(graph, {2, 3, 16}, "rms");
}

TEST(LowerNormalization, LpOverAnyAxis) {
  for (const std::int64_t p : {1, 2})
    for (const std::int64_t axis : {1, -1}) {
      QuantizedNetwork net;
      const ValueId x = net.input("x", {2, 5, 4}, kNormalizationIn);
      const Graph graph = net.finish(
          {net.node("LpNormalization", {x}, {{"axis", axis}, {"p", p}}, kNormalizationOut)});
      expect_close_to_float(graph, {2, 5, 4}, "lp");
    }
}

TEST(LowerNormalization, RefusesStatisticsThatAreUsed) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 4}, kNormalizationIn);
  const auto outputs = net.nodes("LayerNormalization",
                                 {x, net.constant(normalization_parameters({4}, 4), -6)}, {}, 2);
  const Graph graph = net.finish(outputs);
  const Error error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_FALSE(error.node().empty());
}

TEST(LowerPower, IsATableWhereOneTensorIsRaised) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 7}, kNormalizationIn);
  const Graph graph = net.finish(
      {net.node("Pow", {x, net.constant(Tensor::scalar(2.0F), -5)}, {}, kNormalizationOut)});
  EXPECT_EQ(test::operators_of(test::lowered(graph)), std::vector<std::string>{"LUT"});
  expect_close_to_float(graph, {2, 7}, "square");
}

TEST(LowerPower, OtherwiseTheRuntimesFunction) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 3}, kNormalizationIn);
  const Tensor exponents = Tensor::of<float>({3}, std::vector<float>{1, 2, 3});
  const Graph graph =
      net.finish({net.node("Pow", {x, net.constant(exponents, -5)}, {}, kNormalizationOut)});
  EXPECT_EQ(test::operators_of(test::lowered(graph)), std::vector<std::string>{"Pow"});
}

}  // namespace
}  // namespace espquant::lower
