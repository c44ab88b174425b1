#include "base/round.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espquant {
namespace {

TEST(RoundHalfEven, IsNearbyint) {
  for (float x = -4; x <= 4; x += 0.125F) EXPECT_EQ(round_half_even(x), std::nearbyint(x)) << x;
  for (const float x : {32766.5F, 32767.5F, -4194303.5F, 4194303.5F, 1e-30F, -0.49999997F})
    EXPECT_EQ(round_half_even(x), std::nearbyint(x)) << x;
}

TEST(RoundHalfEven, OfWhatIsLargeStaysLarge) {
  for (const float x : {1e7F, 3e9F, 1e30F, INFINITY}) {
    EXPECT_GE(round_half_even(x), 4194304.0F);
    EXPECT_LE(round_half_even(-x), -4194304.0F);
  }
}

}  // namespace
}  // namespace espquant
