#include "search/worth.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espquant::search {
namespace {

Merit merit(double noise, double milliseconds, std::optional<double> drop = std::nullopt) {
  return {noise, milliseconds, 1000, 1000, drop};
}

const std::vector<Merit> kKnown{merit(0.04, 10, 0.02), merit(0.01, 20, 0.005)};

TEST(Worth, IsTheNoiseThatNothingAsCheapGoesWithout) {
  const auto worth = [](const Merit& m) { return worth_of(m, kKnown, {}, Metric::Noise); };
  // Beside the dearer one that makes as little noise; the cheaper one is not better.
  EXPECT_DOUBLE_EQ(worth(merit(0.02, 15)), std::log(2.0));
  EXPECT_LT(worth(merit(0.05, 15)), 0);
  // Nothing is as cheap.
  EXPECT_DOUBLE_EQ(worth(merit(0.05, 5)), 1);
}

TEST(Worth, CountsWhatItGainsOnTheRecommendedOne) {
  const std::vector<Goal> goals{{Metric::Noise, 0.015}};
  const auto worth = [&](const Merit& m) {
    return worth_of(m, kKnown, goals, Metric::Milliseconds);
  };
  // The one of 20 ms alone meets the goal: 12 ms are less, but only where the goal is met, too.
  EXPECT_DOUBLE_EQ(worth(merit(0.0149, 12)), std::log(0.04 / 0.0149) + std::log(20.0 / 12));
  EXPECT_DOUBLE_EQ(worth(merit(0.02, 12)), std::log(2.0));
}

TEST(LikelyDrop, IsThatOfTheNearestNoise) {
  EXPECT_EQ(likely_drop(0.03, kKnown), 0.02);
  EXPECT_EQ(likely_drop(0.012, kKnown), 0.005);
  EXPECT_EQ(likely_drop(0.03, std::vector<Merit>{merit(0.03, 1)}), std::nullopt);
}

}  // namespace
}  // namespace espquant::search
