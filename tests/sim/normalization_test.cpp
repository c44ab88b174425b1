#include <gtest/gtest.h>

#include <cmath>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

// ESP-DL 3.18. 1, 3 have mean 2 and deviation 1.
TEST(LayerNormalization, NormalizesScalesAndShifts) {
  const auto node = OneNode("LayerNormalization")
                        .input(int8({2, 6}, {1, 2}), -1)
                        .constant(int8({4, 8}), -2)
                        .constant(int8({1, 1}), 0)
                        .output(DType::Int8, -4);
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{0, 48}));
}

TEST(LayerNormalization, AlsoGivesTheStatistics) {
  const auto outputs = OneNode("LayerNormalization")
                           .input(float32({1, 3}, {1, 2}))
                           .constant(float32({1, 1}))
                           .output(DType::Float32)
                           .output(DType::Float32)
                           .output(DType::Float32)
                           .attribute("epsilon", 0.0F)
                           .outputs();
  EXPECT_TRUE(outputs[0].equals(float32({-1, 1}, {1, 2})));
  EXPECT_TRUE(outputs[1].equals(float32({2}, {1, 1})));
  EXPECT_TRUE(outputs[2].equals(float32({1}, {1, 1})));
}

TEST(LayerNormalization, RefusesAScaleThatIsTooShort) {
  EXPECT_EQ(error_of([] {
              OneNode("LayerNormalization")
                  .input(int8({2, 6}))
                  .constant(int8({4}))
                  .output(DType::Int8)
                  .result();
            }).code(),
            ErrorCode::Illegal);
}

// 3, 4: the root of the mean square is sqrt(12.5).
TEST(RmsNormalization, GainIsFloat) {
  const auto node = [](Tensor gain) {
    return OneNode("RMSNormalization")
        .input(int8({3, 4}, {1, 2}), 0)
        .constant(std::move(gain))
        .output(DType::Int8, -4);
  };
  EXPECT_EQ(node(float32({1, 2})).run<std::int8_t>(),
            (Ints8{static_cast<std::int8_t>(std::lround(48 / std::sqrt(12.5))),
                   static_cast<std::int8_t>(std::lround(128 / std::sqrt(12.5)))}));
  EXPECT_EQ(error_of([&] { node(int8({1, 2})).result(); }).code(), ErrorCode::Illegal);
}

OneNode lp(Tensor input, std::int64_t p, std::int64_t axis) {
  return std::move(OneNode("LpNormalization")
                       .input(std::move(input), -3)
                       .output(DType::Int8, -6)
                       .attribute("p", p)
                       .attribute("axis", axis));
}

TEST(LpNormalization, ByEuclideanOrAbsoluteNorm) {
  EXPECT_EQ(lp(int8({3, -4}), 2, -1).run<std::int8_t>(), (Ints8{38, -51}));
  EXPECT_EQ(lp(int8({3, -5}), 1, -1).run<std::int8_t>(), (Ints8{24, -40}));
}

TEST(LpNormalization, AlongAnOuterAxisAndOfZero) {
  EXPECT_EQ(lp(int8({3, 0, -4, 0}, {2, 2}), 2, 0).run<std::int8_t>(), (Ints8{38, 0, -51, 0}));
}

}  // namespace
}  // namespace espquant::test
