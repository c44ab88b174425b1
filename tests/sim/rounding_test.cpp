#include "sim/rounding.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace espquant::sim {
namespace {

template <typename T, Rounding kRounding>
void expect_equal_to_the_rule(float v) {
  ASSERT_EQ((round_saturate<T, kRounding>(v)), saturate<T>(round_to_int(v, kRounding))) << v;
}

template <typename F>
void for_many_floats(F f) {
  for (int half = -70000; half <= 70000; ++half) {
    const float tie = static_cast<float>(half) * 0.5F;
    f(tie);
    f(std::nextafter(tie, -1e9F));
    f(std::nextafter(tie, 1e9F));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i)
    f(std::bit_cast<float>(static_cast<std::uint32_t>(random())));  // infinities and NaN as well
}

TEST(RoundSaturate, IsTheRuleForEveryKindOfFloat) {
  for_many_floats([](float v) {
    expect_equal_to_the_rule<std::int8_t, Rounding::HalfUp>(v);
    expect_equal_to_the_rule<std::int8_t, Rounding::HalfEven>(v);
    expect_equal_to_the_rule<std::int16_t, Rounding::HalfUp>(v);
    expect_equal_to_the_rule<std::int16_t, Rounding::HalfEven>(v);
  });
}

// ESP-DL 0.1: the software half-even takes what lies within 1e-6 of a half for a tie.
TEST(RoundDouble, HalfEvenHasATolerance) {
  EXPECT_EQ(round_to_int(2.5, Rounding::HalfUp), 3);
  EXPECT_EQ(round_to_int(2.5, Rounding::HalfEven), 2);
  EXPECT_EQ(round_to_int(3.5, Rounding::HalfEven), 4);
  EXPECT_EQ(round_to_int(-2.5, Rounding::HalfEven), -2);
  EXPECT_EQ(round_to_int(2.5 + 1e-7, Rounding::HalfEven), 2);
  EXPECT_EQ(round_to_int(2.5 + 1e-5, Rounding::HalfEven), 3);
  EXPECT_EQ(round_to_int(1e300, Rounding::HalfEven), INT32_MAX);
}

TEST(RoundDouble, NumbersThatAreNoneBecomeTheEnds) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (Rounding rounding : {Rounding::HalfUp, Rounding::HalfEven}) {
    EXPECT_EQ(round_to_int(std::nan(""), rounding), INT32_MAX);
    EXPECT_EQ(round_to_int(kInfinity, rounding), INT32_MAX);
    EXPECT_EQ(round_to_int(-kInfinity, rounding), INT32_MIN);
  }
}

}  // namespace
}  // namespace espquant::sim
