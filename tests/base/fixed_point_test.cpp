#include "base/fixed_point.h"

#include <gtest/gtest.h>

namespace espquant {
namespace {

TEST(RoundShift, HalfUpRoundsTiesTowardsPlusInfinity) {
  EXPECT_EQ(round_shift(3, 1, Rounding::HalfUp), 2);
  EXPECT_EQ(round_shift(-3, 1, Rounding::HalfUp), -1);
  EXPECT_EQ(round_shift(5, 1, Rounding::HalfUp), 3);
}

TEST(RoundShift, HalfEvenRoundsTiesToTheEvenNeighbour) {
  EXPECT_EQ(round_shift(3, 1, Rounding::HalfEven), 2);
  EXPECT_EQ(round_shift(5, 1, Rounding::HalfEven), 2);
  EXPECT_EQ(round_shift(-3, 1, Rounding::HalfEven), -2);
  EXPECT_EQ(round_shift(-5, 1, Rounding::HalfEven), -2);
}

TEST(RoundShift, NeverOverflows) {
  EXPECT_EQ(round_shift(INT64_MAX, 1, Rounding::HalfUp), std::int64_t{1} << 62);
  EXPECT_EQ(round_shift(INT64_MIN, 63, Rounding::HalfUp), -1);
  EXPECT_EQ(round_shift(INT64_MAX, 64, Rounding::HalfUp), 0);
}

// ESP-DL 0.1: the sum with 0.5 is a float32 sum.
TEST(RoundToInt, HalfUpAddsInSinglePrecision) {
  EXPECT_EQ(round_to_int(0.49999997F, Rounding::HalfUp), 1);
  EXPECT_EQ(round_to_int(0.49999997F, Rounding::HalfEven), 0);
  EXPECT_EQ(round_to_int(-0.5F, Rounding::HalfUp), 0);
  EXPECT_EQ(round_to_int(1e20F, Rounding::HalfUp), INT32_MAX);
}

TEST(CoveringExponent, IsTheLeastThatHoldsTheMaximum) {
  EXPECT_EQ(covering_exponent(127.0F, 127), 0);
  EXPECT_EQ(covering_exponent(128.0F, 127), 1);
  EXPECT_EQ(covering_exponent(1.0F, 127), -6);
  EXPECT_EQ(covering_exponent(127.0F / 128, 127), -7);
  EXPECT_EQ(covering_exponent(0.0F, 127), -60);
}

TEST(WrapBits, KeepsTheLowBitsWithSign) {
  EXPECT_EQ(wrap_bits(1 << 19, 20), -(1 << 19));
  EXPECT_EQ(wrap_bits((1 << 20) + 5, 20), 5);
}

}  // namespace
}  // namespace espquant
