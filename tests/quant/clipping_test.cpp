#include "quant/clipping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/fixed_point.h"
#include "base/random.h"
#include "tests/support/errors.h"

namespace espquant::quant {
namespace {

constexpr int kInt8 = 127, kInt16 = 32767;

std::vector<float> uniform_values(std::size_t count, float magnitude) {
  Random random(1);
  std::vector<float> values(count);
  for (float& v : values) v = random.uniform(-magnitude, magnitude);
  return values;
}

/// Of variance 1.
std::vector<float> gaussian_values(std::size_t count) {
  Random random(2);
  std::vector<float> values(count);
  for (float& v : values) {
    v = -6;
    for (int i = 0; i < 12; ++i) v += random.uniform();
  }
  return values;
}

calib::ValueStatistics statistics_of(std::span<const float> values, int max_q,
                                     float factor = 1.0F) {
  calib::ValueStatistics s;
  s.extent = calib::extent_of(values);
  s.sum_squares = calib::sum_of_squares(values);
  s.count = static_cast<std::int64_t>(values.size());
  s.histogram.add(values, s.extent);
  s.max_q = max_q;
  const int covering = covering_exponent(s.extent.abs_max() * factor, max_q);
  for (int e = covering + 1; e >= covering - 5; --e) s.steps.push_back(pow2(e) / factor);
  s.errors.resize(s.steps.size());
  calib::add_step_errors(values, s.steps, max_q, s.errors);
  const float unit = static_cast<float>(max_q) * s.steps[0];
  s.weighted_errors.resize(s.steps.size());
  calib::add_weighted_step_errors(values, s.steps, max_q, unit, s.weighted_errors);
  s.weighted_sum_squares = calib::weighted_sum_of_squares(values, unit);
  return s;
}

double noise(std::span<const float> values, int exponent, int max_q) {
  std::vector<double> sum(1);
  calib::add_step_errors(values, std::vector<float>{pow2(exponent)}, max_q, sum);
  return sum[0];
}

TEST(Clipping, EveryMethodKeepsTheRangeOfUniformValues) {
  const auto values = uniform_values(200'000, 0.98F);
  for (int max_q : {kInt8, kInt16}) {
    const auto s = statistics_of(values, max_q);
    for (Method method : all_methods())
      EXPECT_EQ(clipping_exponent(method, s, max_q), covering_exponent(0.98F, max_q))
          << name_of(method) << max_q;
  }
}

TEST(Clipping, OnlyMinMaxAndSqnrSpareALoneOutlier) {
  auto values = gaussian_values(1'000'000);
  values[4711] = 50;
  const auto s = statistics_of(values, kInt8);
  EXPECT_EQ(threshold(Method::MinMax, s, kInt8), 50);
  EXPECT_EQ(clipping_exponent(Method::MinMax, s, kInt8), -1);
  // The outlier's error counts 50^2 times that of the bulk.
  EXPECT_EQ(clipping_exponent(Method::Sqnr, s, kInt8), -1);
  for (Method method : {Method::Percentile, Method::Entropy, Method::Mse, Method::Auto}) {
    EXPECT_LE(threshold(method, s, kInt8), 8) << name_of(method);
    EXPECT_GT(threshold(method, s, kInt8), 3.5) << name_of(method);
  }
}

TEST(Clipping, MseHasTheLeastNoiseOfAll) {
  auto values = gaussian_values(100'000);
  for (std::size_t i = 0; i < values.size(); i += 1000) values[i] *= 10;
  const auto s = statistics_of(values, kInt8);
  const double least = noise(values, clipping_exponent(Method::Mse, s, kInt8), kInt8);
  for (Method method : all_methods())
    EXPECT_LE(least, noise(values, clipping_exponent(method, s, kInt8), kInt8) * 1.0001)
        << name_of(method);
}

TEST(Clipping, SqnrWeighsAnErrorByTheSquareOfTheValue) {
  const std::vector<float> values = {0.3F, 0.7F, 3.2F};
  const std::vector<float> steps = {1.0F, 0.5F};
  std::vector<double> errors(2);
  calib::add_weighted_step_errors(values, steps, 4, 2.0F, errors);
  const auto expected = [](double x, double q) { return std::pow((x - q) * x / 2, 2); };
  EXPECT_NEAR(errors[0], expected(0.3, 0) + expected(0.7, 1) + expected(3.2, 3), 1e-6);
  EXPECT_NEAR(errors[1], expected(0.3, 0.5) + expected(0.7, 0.5) + expected(3.2, 2), 1e-5);
  EXPECT_NEAR(calib::weighted_sum_of_squares(values, 2.0F),
              expected(0.3, 0) + expected(0.7, 0) + expected(3.2, 0), 1e-5);
}

TEST(Entropy, At16BitsIsAsGoodAsMinMax) {
  std::vector<std::vector<float>> cases = {gaussian_values(100'000), gaussian_values(200)};
  cases.push_back(cases[0]);
  cases.back()[5] = 100;
  cases.push_back(cases[0]);
  for (float& v : cases.back()) v = std::max(0.0F, v);
  cases.push_back(cases[0]);
  for (float& v : cases.back()) v = v * v * v;
  for (const auto& values : cases) {
    const auto s = statistics_of(values, kInt16);
    const double min_max = noise(values, clipping_exponent(Method::MinMax, s, kInt16), kInt16);
    EXPECT_LE(noise(values, clipping_exponent(Method::Entropy, s, kInt16), kInt16), 2 * min_max);
  }
}

TEST(Entropy, DoesNotClipWhereFewValuesAreKnown) {
  const auto values = gaussian_values(1000);
  const auto s = statistics_of(values, kInt8);
  EXPECT_EQ(clipping_exponent(Method::Entropy, s, kInt8),
            clipping_exponent(Method::MinMax, s, kInt8));
}

TEST(Entropy, LossIsTheKullbackLeiblerDivergence) {
  // Integers of step 1 up to 3. 0.6 and 1.4 share the integer 1; 5 is clipped and joins 2.75.
  std::vector<float> values(600, 0.6F);
  values.insert(values.end(), 200, 1.4F);
  values.insert(values.end(), 150, 2.75F);
  values.insert(values.end(), 50, 5.0F);
  values.insert(values.end(), 77, 0.0F);
  calib::Histogram histogram;
  histogram.add(values, calib::extent_of(values));
  // Bins are half as wide below 1 as above.
  const double kept = 0.95, p1 = 0.6, p2 = 0.2, p3 = 0.2;
  const double q1 = 0.8 / 3 / kept, q2 = 0.8 * 2 / 3 / kept, q3 = 0.15 / kept;
  const double divergence =
      p1 * std::log(p1 / q1) + p2 * std::log(p2 / q2) + p3 * std::log(p3 / q3);
  // Three places, two integers, 1000 values.
  EXPECT_NEAR(entropy_loss(histogram, 1.0, 3), divergence - 1.0 / 2000, 1e-12);
}

TEST(Entropy, LossIsInfiniteWhereAllIsClipped) {
  calib::Histogram histogram;
  const std::vector<float> values(10, 1.0F);
  histogram.add(values, calib::extent_of(values));
  EXPECT_TRUE(std::isinf(entropy_loss(histogram, 1e-3, kInt8)));
}

TEST(Percentile, LeavesTheGivenShareOfTheValuesThatAreNotZero) {
  auto values = uniform_values(100'000, 1.0F);
  values.insert(values.end(), 900'000, 0.0F);
  const auto s = statistics_of(values, kInt8);
  EXPECT_NEAR(threshold(Method::Percentile, s, kInt8, 90), 0.9, 0.01);
  EXPECT_NEAR(threshold(Method::Percentile, s, kInt8, 50), 0.5, 0.01);
  EXPECT_EQ(threshold(Method::Percentile, s, kInt8, 100), static_cast<double>(s.extent.abs_max()));
}

TEST(Percentile, RefusesWhatIsNoPercentage) {
  const auto s = statistics_of(uniform_values(10, 1.0F), kInt8);
  for (double bad : {0.9999, -1.0, 100.5, std::nan("")}) {
    const Error error = test::error_of([&] { (void)threshold(Method::Percentile, s, kInt8, bad); });
    EXPECT_EQ(error.code(), ErrorCode::Usage) << bad;
    EXPECT_NE(error.remedy().find("99.99"), std::string::npos);
  }
}

TEST(Clipping, PutsThresholdsOnTheGridOfAScaledTensor) {
  auto values = gaussian_values(300'000);
  values[0] = 40;
  constexpr float kFactor = 1.1892071F;
  const auto s = statistics_of(values, kInt8, kFactor);
  for (Method method : {Method::Entropy, Method::Mse, Method::Sqnr}) {
    const double scaled = threshold(method, s, kInt8, kDefaultPercentile, kFactor) * 1.1892071;
    const int exponent = clipping_exponent(method, s, kInt8, kDefaultPercentile, kFactor);
    if (method == Method::Sqnr)
      EXPECT_EQ(exponent, -1);
    else
      EXPECT_NEAR(scaled, kInt8 * std::ldexp(1.0, exponent), 1e-5) << name_of(method);
  }
}

TEST(Clipping, OfTwoEquallyGoodThresholdsTakesTheLarger) {
  const std::vector<float> values = {1.0F, -1.0F, 0.5F};
  const auto s = statistics_of(values, kInt8);
  ASSERT_EQ(s.errors[0], 0);
  ASSERT_EQ(s.errors[1], 0);
  EXPECT_EQ(threshold(Method::Mse, s, kInt8), 127 * static_cast<double>(s.steps[0]));
}

TEST(Clipping, DoesNotUseErrorsOfAnotherWidth) {
  auto values = gaussian_values(1'000'000);
  values[4711] = 50;
  const auto s = statistics_of(values, kInt8);
  EXPECT_LT(threshold(Method::Mse, s, kInt8), 50);
  EXPECT_EQ(threshold(Method::Mse, s, kInt16), 50);
}

TEST(Clipping, AutoByItselfIsMse) {
  auto values = gaussian_values(1'000'000);
  values[4711] = 50;
  const auto s = statistics_of(values, kInt8);
  EXPECT_EQ(threshold(Method::Auto, s, kInt8), threshold(Method::Mse, s, kInt8));
  EXPECT_EQ(relative_errors(Method::Auto, s), relative_errors(Method::Mse, s));
}

TEST(Clipping, RelativeErrorsAreErrorsOverTheSignal) {
  const auto s = statistics_of(gaussian_values(10'000), kInt8);
  EXPECT_DOUBLE_EQ(relative_errors(Method::Mse, s)[1], s.errors[1] / s.sum_squares);
  EXPECT_DOUBLE_EQ(relative_errors(Method::Sqnr, s)[1],
                   s.weighted_errors[1] / s.weighted_sum_squares);
  EXPECT_TRUE(relative_errors(Method::Percentile, s).empty());
  EXPECT_TRUE(relative_errors(Method::Mse, calib::ValueStatistics{}).empty());
}

TEST(Clipping, OfZerosIsZero) {
  const auto s = statistics_of(std::vector<float>(8, 0.0F), kInt8);
  for (Method method : all_methods()) EXPECT_EQ(threshold(method, s, kInt8), 0) << name_of(method);
}

TEST(Clipping, AsksForWhatEachMethodReads) {
  for (Method method : all_methods()) {
    calib::Request request;
    add_needs(method, request);
    EXPECT_EQ(request.histogram, method == Method::Percentile || method == Method::Entropy);
    EXPECT_EQ(request.weighted_errors, method == Method::Sqnr);
  }
}

TEST(Methods, AreFoundByTheirNames) {
  for (Method method : all_methods()) EXPECT_EQ(method_of(name_of(method)), method);
  EXPECT_EQ(method_of("kl"), Method::Entropy);
}

TEST(Methods, AnUnknownNameIsAnsweredWithTheList) {
  const Error error = test::error_of([] { (void)method_of("minmaxx"); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.message().find("minmaxx"), std::string::npos);
  EXPECT_NE(error.remedy().find("percentile"), std::string::npos);
}

}  // namespace
}  // namespace espquant::quant
