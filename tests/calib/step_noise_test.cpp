#include "calib/step_noise.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espquant::calib {
namespace {

StepNoise measured() {
  StepNoise noise;
  noise.set(0.5, 0.04);
  noise.set(1.0, 0.01);
  noise.set(2.0, 0.04);
  return noise;
}

TEST(StepNoise, IsWhatWasMeasured) {
  const StepNoise noise = measured();
  EXPECT_EQ(noise.at(0.5), 0.04);
  EXPECT_EQ(noise.at(1.0001), 0.01) << "the same step, up to rounding";
  EXPECT_EQ(noise.at(2.0), 0.04);
  EXPECT_EQ(noise.finest(), 0.5);
  EXPECT_EQ(noise.coarsest(), 2.0);
}

TEST(StepNoise, BetweenTwoStepsIsBetweenTheirLogarithms) {
  EXPECT_NEAR(measured().at(std::sqrt(2.0)), 0.02, 1e-9);
}

TEST(StepNoise, BeyondTheCoarsestGrowsAsTheSquareOfTheStep) {
  EXPECT_NEAR(measured().at(8.0), 0.64, 1e-9);
}

TEST(StepNoise, BelowTheFinestIsOutOfTheQuestion) {
  EXPECT_TRUE(std::isinf(measured().at(0.25)));
  EXPECT_TRUE(std::isinf(StepNoise().at(1.0)));
}

}  // namespace
}  // namespace espquant::calib
