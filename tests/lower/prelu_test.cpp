#include <gtest/gtest.h>

#include <cmath>

#include "sim/program.h"
#include "tests/lower/quantized_network.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

struct PReluCase {
  Shape shape;
  Shape slope_shape;
  std::vector<float> slopes;
  int in, slope, out;
  int bits = 8;
};

espdl::Model prelu_model(const PReluCase& c, const char* target) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", c.shape, c.in, c.bits);
  const ValueId slope = net.constant(Tensor::of<float>(c.slope_shape, c.slopes), c.slope, c.bits);
  return test::lowered(net.finish({net.node("PRelu", {x, slope}, {}, c.out, c.bits)}), target);
}

/// The largest difference from PRelu in real numbers, in steps of the output, over inputs that do
/// not saturate it. Slopes repeat with a period of `inner` elements of the stored order.
template <typename T>
double worst_steps(const PReluCase& c, const espdl::Model& model, const char* target) {
  const sim::Program program(model, find_target(target));
  for (const auto& fault : program.faults()) EXPECT_EQ(fault.name, "prelu-rounding-unknown");
  sim::Program::Frame frame(program);
  const std::size_t input = program.inputs()[0], output = program.outputs()[0];
  const auto count = static_cast<std::size_t>(element_count(c.shape));
  T* q = reinterpret_cast<T*>(frame.bytes(input).data());
  const int top = sizeof(T) == 1 ? 127 : 32767;
  Random random(5);
  for (std::size_t i = 0; i < count; ++i)
    q[i] = static_cast<T>(random.uniform(-static_cast<float>(top), static_cast<float>(top)));
  std::vector<T> given(q, q + count);
  frame.run();
  const T* y = reinterpret_cast<const T*>(frame.bytes(output).data());
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double x = std::ldexp(given[i], c.in);
    const double slope = static_cast<double>(c.slopes[i % c.slopes.size()]);
    const double real =
        std::clamp(std::ldexp(x < 0 ? slope * x : x, -c.out), -top - 1.0, top * 1.0);
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) - real));
  }
  return worst;
}

constexpr std::array kChips{"esp32s3", "esp32p4", "esp32"};

TEST(LowerPRelu, OneSlopeIsATable) {
  for (const Shape& slope : {Shape{1, 1, 1}, Shape{4, 1, 1}}) {
    const PReluCase c{
        {1, 4, 2, 2}, slope, std::vector<float>(static_cast<std::size_t>(slope[0]), 0.25F),
        -4,           -6,    -6};
    const auto model = prelu_model(c, "esp32c3");
    EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"LeakyRelu"});
    EXPECT_LE(worst_steps<std::int8_t>(c, model, "esp32c3"), 0.5);
  }
}

TEST(LowerPRelu, ASlopePerChannelIsAParameter) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 2, 3, 3});
  const ValueId slope = net.constant(Tensor::of<float>({2, 1, 1}, {0.25F, 0.5F}), -6);
  const auto model = test::lowered(net.finish({net.node("PRelu", {x, slope})}));
  const auto& prelu = test::the_node(model, "PRelu");
  EXPECT_FALSE(prelu.has("lut"));
  EXPECT_EQ(test::elements_of<std::int8_t>(test::constant_of(model, prelu, 1).data),
            (std::vector<std::int8_t>{16, 32}));
  EXPECT_EQ(test::value_of(model, "x").shape, (Shape{1, 3, 3, 2}));
}

TEST(LowerPRelu, IsRightWhateverTheExponents) {
  const std::vector<float> small{0.25F, -0.75F, 0.0078125F, 0.5F};
  const std::vector<float> large{3.5F, -2, 0.25F, 1};
  for (const char* target : kChips) {
    for (int out = -7; out <= -2; ++out) {
      SCOPED_TRACE(std::string(target) + ", output exponent " + std::to_string(out));
      for (const auto& [slopes, exponent] : {std::pair{small, -7}, std::pair{large, -5}}) {
        const PReluCase narrow{{1, 4, 6, 5}, {4, 1, 1}, slopes, -4, exponent, out};
        // Floor costs up to a step where the exponents are equal.
        EXPECT_LE(worst_steps<std::int8_t>(narrow, prelu_model(narrow, target), target), 1.01);
        const PReluCase wide{{1, 4, 6, 5}, {4, 1, 1}, slopes, -4, exponent - 8, out, 16};
        const auto model = prelu_model(wide, target);
        // An input that is read more coarsely by n bits loses half a step of the coarser.
        EXPECT_LE(worst_steps<std::int16_t>(wide, model, target),
                  std::ldexp(8, std::max(0, -4 - out)));
      }
    }
  }
}

TEST(LowerPRelu, OneExponentIsTheKernelAlone) {
  const PReluCase c{{1, 4, 6, 5}, {4, 1, 1}, {0.25F, 0.5F, 0.75F, 0.875F}, -4, -7, -4};
  for (const char* target : kChips)
    EXPECT_EQ(test::operators_of(prelu_model(c, target)), std::vector<std::string>{"PRelu"});
}

TEST(LowerPRelu, TakesSlopesAlongTheLastAxisOfAnyRank) {
  for (const Shape& shape : {Shape{1, 4}, Shape{1, 6, 4}, Shape{1, 3, 5, 4}}) {
    const PReluCase c{shape, {4}, {0.25F, -0.5F, 0.75F, 0.875F}, -4, -7, -4};
    for (const char* target : kChips)
      EXPECT_LE(worst_steps<std::int8_t>(c, prelu_model(c, target), target), 1.01);
  }
}

TEST(LowerPRelu, SlopesPerElementAreComputedInParts) {
  const PReluCase c{{1, 2, 2}, {2, 2}, {0.25F, -0.5F, 0.75F, 2}, -4, -5, -3};
  for (const char* target : kChips) {
    const auto model = prelu_model(c, target);
    EXPECT_EQ(test::operators_of(model), (std::vector<std::string>{"Relu", "LUT", "Mul", "Add"}));
    EXPECT_LE(worst_steps<std::int8_t>(c, model, target), 0.51);
  }
}

TEST(LowerPRelu, NothingWrapsOnTheS3At16Bits) {
  // -32768 * 2 beyond 16 bits must saturate.
  const PReluCase c{{1, 2, 4, 4}, {2, 1, 1}, {2, -3}, -8, -12, -8, 16};
  const auto model = prelu_model(c, "esp32s3");
  EXPECT_LE(worst_steps<std::int16_t>(c, model, "esp32s3"), 16);
}

}  // namespace
}  // namespace espquant::lower
