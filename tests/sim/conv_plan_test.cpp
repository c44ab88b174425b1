#include "sim/conv_plan.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace espquant::sim {
namespace {

/// A 1x1 convolution of 32 channels to 16 whose weights are all `weight`.
std::unique_ptr<ConvPlan> plan_of_int16(std::int16_t weight, int shift, std::int64_t bias = 0) {
  ConvGeometry geometry;
  geometry.in_h = geometry.in_w = geometry.out_h = geometry.out_w = 4;
  geometry.in_c = 32;
  geometry.out_c = 16;
  MacArithmetic arithmetic;
  arithmetic.bits = 16;
  arithmetic.shifts.assign(16, shift);
  arithmetic.bias.assign(16, bias);
  Tensor filter(DType::Int16, {16, 1, 1, 32});
  for (std::int16_t& w : filter.mutable_data<std::int16_t>()) w = weight;
  return make_plan(geometry, arithmetic, filter);
}

TEST(ConvPlan, SumsAreShortWhereBothBytesFit32Bits) {
  EXPECT_TRUE(plan_of_int16(10000, 15)->is_short[0]);
  // 255 * 32 * 32767 < 2^31
  EXPECT_TRUE(plan_of_int16(32767, 15)->is_short[0]);
  EXPECT_FALSE(plan_of_int16(10000, 15, std::int64_t{1} << 39)->is_short[0]) << "a bias too large";
}

TEST(ConvPlan, ShortSumsDropAByteAndOneBitBeforeTheyRound) {
  EXPECT_TRUE(plan_of_int16(100, 10)->is_short[0]);
  EXPECT_FALSE(plan_of_int16(100, 9)->is_short[0]);
  EXPECT_FALSE(plan_of_int16(100, 0)->is_short[0]);
}

}  // namespace
}  // namespace espquant::sim
