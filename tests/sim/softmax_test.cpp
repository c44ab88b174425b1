#include <gtest/gtest.h>

#include <cmath>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

OneNode softmax(const char* op, Tensor input, int exponent, std::int64_t axis) {
  return std::move(
      OneNode(op).input(std::move(input), exponent).output(DType::Float32).attribute("axis", axis));
}

// ESP-DL 3.13: int8 does not subtract the maximum.
TEST(Softmax, Int8SumsExponentialsInOrder) {
  const float a = std::exp(1.0F), b = std::exp(-0.5F), sum = a + b;
  EXPECT_EQ(softmax("Softmax", int8({2, -1}), -1, -1).run<float>(), (Floats{a / sum, b / sum}));
  EXPECT_EQ(softmax("LogSoftmax", int8({2, -1}), -1, 0).run<float>(),
            (Floats{1.0F - std::log(sum), -0.5F - std::log(sum)}));
}

TEST(Softmax, Int16AndFloatSubtractTheMaximum) {
  const float b = std::exp(-1.5F), sum = 1.0F + b;
  const Floats expected{1.0F / sum, b / sum};
  EXPECT_EQ(softmax("Softmax", int16({2, -1}), -1, -1).run<float>(), expected);
  EXPECT_EQ(softmax("Softmax", float32({1, -0.5F}), 0, -1).run<float>(), expected);
  EXPECT_EQ(softmax("LogSoftmax", float32({1, -0.5F}), 0, -1).run<float>(),
            (Floats{-std::log(sum), -1.5F - std::log(sum)}));
}

TEST(Softmax, RunsAlongAnInnerAxis) {
  EXPECT_EQ(softmax("Softmax", int8({0, 1, 0, 1}, {1, 2, 2}), 0, 1).run<float>(),
            (Floats{0.5F, 0.5F, 0.5F, 0.5F}));
}

TEST(Softmax, WritesFloatsOnly) {
  EXPECT_EQ(
      error_of([] { OneNode("Softmax").input(int8({1})).output(DType::Int8).result(); }).code(),
      ErrorCode::Illegal);
}

}  // namespace
}  // namespace espquant::test
