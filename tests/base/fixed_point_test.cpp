#include "base/fixed_point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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

template <typename T>
void expect_each_quantized(const std::vector<float>& x) {
  for (const Rounding rounding : {Rounding::HalfUp, Rounding::HalfEven})
    for (const float inv_scale : {0.25F, 1.0F, 64.0F}) {
      std::vector<T> q(x.size());
      quantize_values(x.data(), x.size(), inv_scale, rounding, q.data());
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(q[i], quantize_value<T>(x[i], inv_scale, rounding)) << x[i] * inv_scale;
    }
}

TEST(QuantizeValues, IsQuantizeValueOfEach) {
  std::vector<float> x;
  for (float v = -600; v <= 600; v += 0.125F) x.push_back(v);
  for (const float center : {127.5F, -128.5F, 32767.5F, -32768.5F, 0.5F, -0.5F})
    for (const float v : {center, std::nextafter(center, 1e9F), std::nextafter(center, -1e9F)})
      x.push_back(v);
  for (const float v : {0.49999997F, 1e-30F, 4e6F, 1e10F, 3e38F, INFINITY})
    x.insert(x.end(), {v, -v});
  x.push_back(NAN);
  expect_each_quantized<std::int8_t>(x);
  expect_each_quantized<std::int16_t>(x);
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
