#include "calib/step_errors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace espquant::calib {
namespace {

/// Enough for several blocks and a remainder of the vectorised loops.
constexpr std::size_t kCount = 5003;

std::vector<float> random_values(float low, float high) {
  Random random(7);
  std::vector<float> values(kCount);
  for (float& v : values) v = random.uniform(low, high);
  return values;
}

double plain_error(const std::vector<float>& values, float step, int max_q) {
  double sum = 0;
  for (const float x : values) {
    const double q = std::clamp(std::nearbyint(static_cast<double>(x) / step),
                                -static_cast<double>(max_q) - 1, static_cast<double>(max_q));
    sum += std::pow(x - step * q, 2);
  }
  return sum;
}

TEST(StepErrors, EqualThePlainLoop) {
  const auto values = random_values(-3, 5);
  for (const int max_q : {127, 32767}) {
    const std::vector<float> steps = {8.0F / static_cast<float>(max_q),   // nothing clips
                                      4.0F / static_cast<float>(max_q),   // one side clips
                                      0.5F / static_cast<float>(max_q)};  // almost everything clips
    std::vector<double> errors(steps.size());
    add_step_errors(values, steps, max_q, errors);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const double expected = plain_error(values, steps[i], max_q);
      // Rounding noise of single precision counts only where the true error is as small.
      const double noise = 1e-12 * static_cast<double>(kCount);
      EXPECT_NEAR(errors[i], expected, 1e-4 * expected + noise) << steps[i] << ' ' << max_q;
    }
  }
}

TEST(StepErrors, TheNegativeSideReachesOneStepFurther) {
  std::vector<double> errors(1);
  const std::vector<float> lowest = {-128}, beyond = {128};
  add_step_errors(lowest, std::vector<float>{1}, 127, errors);
  EXPECT_EQ(errors[0], 0);
  add_step_errors(beyond, std::vector<float>{1}, 127, errors);
  EXPECT_EQ(errors[0], 1);
}

TEST(StepErrors, AddToWhatIsThere) {
  std::vector<double> errors = {10, 20};
  add_step_errors(std::vector<float>{0.25F}, std::vector<float>{1, 0.25F}, 127, errors);
  EXPECT_DOUBLE_EQ(errors[0], 10.0625);
  EXPECT_DOUBLE_EQ(errors[1], 20);
}

TEST(StepErrors, RoundToStepGivesWhatTheErrorsMeasure) {
  const auto values = random_values(-3, 5);
  const float step = 4.0F / 127;
  std::vector<float> rounded(values.size());
  round_to_step(values, step, 127, rounded);
  EXPECT_NEAR(squared_difference(values, rounded), plain_error(values, step, 127), 1e-5);
}

TEST(StepErrors, WeightedErrorsCountBySquareOfTheValue) {
  std::vector<double> errors(1);
  add_weighted_step_errors(std::vector<float>{3.25F, -0.25F}, std::vector<float>{1}, 127, 2,
                           errors);
  EXPECT_NEAR(errors[0], 0.0625 * (std::pow(3.25 / 2, 2) + std::pow(0.25 / 2, 2)), 1e-6);
}

TEST(Extents, IncludeZero) {
  const auto above = extent_of(std::vector<float>{2, 3});
  EXPECT_EQ(above.min, 0);
  EXPECT_EQ(above.max, 3);
  EXPECT_EQ(extent_of(std::vector<float>{-2, -3}).abs_max(), 3);
}

TEST(Extents, KnowWhatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const std::size_t at : {std::size_t{0}, kCount / 2, kCount - 1}) {
      auto values = random_values(-1, 1);
      values[at] = bad;
      EXPECT_FALSE(extent_of(values).finite) << bad << " at " << at;
    }
  }
  EXPECT_TRUE(extent_of(random_values(-1, 1)).finite);
}

TEST(Sums, EqualPlainLoops) {
  const auto values = random_values(-3, 5);
  double squares = 0;
  for (const float x : values) squares += static_cast<double>(x) * x;
  EXPECT_NEAR(sum_of_squares(values), squares, 1e-6 * squares);
  EXPECT_EQ(summary_of(values).sum_squares, sum_of_squares(values));

  std::vector<float> sums(values.size(), 1), moment_sums = sums, square_sums = sums;
  add_to(values, sums);
  add_moments_to(values, moment_sums, square_sums);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_FLOAT_EQ(sums[i], 1 + values[i]);
    ASSERT_FLOAT_EQ(moment_sums[i], 1 + values[i]);
    ASSERT_FLOAT_EQ(square_sums[i], 1 + values[i] * values[i]);
  }
}

}  // namespace
}  // namespace espquant::calib
