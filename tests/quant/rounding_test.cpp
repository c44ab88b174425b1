#include "quant/rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"
#include "base/random.h"

namespace espquant::quant {
namespace {

constexpr Rounding kRounding = Rounding::HalfUp;

WeightRows rounding_random_rows(Random& random, std::int64_t rows, std::int64_t columns) {
  WeightRows w;
  w.rows = w.rows_per_group = rows;
  w.columns = columns;
  w.values.resize(static_cast<std::size_t>(rows * columns));
  for (float& v : w.values) v = random.uniform(-1, 1);
  return w;
}

/// Inputs that are mixtures of a few common causes, as neighbouring pixels and channels are.
calib::Covariance correlated_inputs(Random& random, std::int64_t groups, std::int64_t columns) {
  constexpr int kPositions = 400, kCauses = 5;
  calib::Covariance c{groups, columns, kPositions, {}, {}};
  c.mean.resize(static_cast<std::size_t>(groups * columns));
  c.second_moment.resize(static_cast<std::size_t>(groups * columns * columns));
  const auto n = static_cast<std::size_t>(columns);
  for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g) {
    std::vector<float> mixture(n * kCauses), x(n);
    for (float& v : mixture) v = random.uniform(-1, 1);
    for (int p = 0; p < kPositions; ++p) {
      for (float& v : x) v = 0.3F + random.uniform(-0.2F, 0.2F);
      for (std::size_t cause = 0; cause < kCauses; ++cause) {
        const float strength = random.uniform(-1, 1);
        for (std::size_t i = 0; i < n; ++i) x[i] += strength * mixture[i * kCauses + cause];
      }
      for (std::size_t i = 0; i < n; ++i) {
        c.mean[g * n + i] += static_cast<double>(x[i]) / kPositions;
        for (std::size_t j = 0; j < n; ++j)
          c.second_moment[(g * n + i) * n + j] += x[i] * x[j] / kPositions;
      }
    }
  }
  return c;
}

/// Mean square (or variance) of the change at the output, summed over the filters.
double output_error(const WeightRows& rows, std::span<const float> rounded,
                    const calib::Covariance& c, bool around_mean) {
  double sum = 0;
  const auto n = static_cast<std::size_t>(rows.columns);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const auto moment = c.moment_of(r / rows.rows_per_group);
    const auto mean = c.mean_of(r / rows.rows_per_group);
    const auto error = [&](std::size_t k) {
      const std::size_t at = static_cast<std::size_t>(r) * n + k;
      return static_cast<double>(rounded[at]) - static_cast<double>(rows.values[at]);
    };
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        sum += error(i) * error(j) * (moment[i * n + j] - (around_mean ? mean[i] * mean[j] : 0));
  }
  return sum;
}

std::vector<float> nearest(const WeightRows& rows, const TensorQuant& quant) {
  return rounded_weights(rows, quant, {}, kRounding);
}

TEST(Rounding, WithoutKnowledgeGoesToTheNearest) {
  Random random(1);
  const WeightRows rows = rounding_random_rows(random, 3, 50);
  const TensorQuant quant{8, {-6}, -1};
  const auto rounded = nearest(rows, quant);
  for (std::size_t i = 0; i < rounded.size(); ++i)
    EXPECT_EQ(rounded[i], std::floor(rows.values[i] * 64 + 0.5F) / 64);
}

TEST(Rounding, TiesGoWhereTheChipRoundsThem) {
  WeightRows rows;
  rows.rows = rows.rows_per_group = 1;
  rows.columns = 4;
  rows.values = {0.5F, 1.5F, 2.5F, -2.5F};
  const TensorQuant quant{8, {0}, -1};
  EXPECT_EQ(rounded_weights(rows, quant, {}, Rounding::HalfUp), (std::vector<float>{1, 2, 3, -2}));
  EXPECT_EQ(rounded_weights(rows, quant, {}, Rounding::HalfEven),
            (std::vector<float>{0, 2, 2, -2}));
}

TEST(Rounding, StaysOnTheGridAndWithinItsBits) {
  Random random(2);
  const WeightRows rows = rounding_random_rows(random, 4, 32);
  const calib::Covariance c = correlated_inputs(random, 1, 32);
  // A grid that ends at 0.99, and one that ends at half the range.
  for (const int exponent : {-7, -8}) {
    const TensorQuant quant{8, {exponent}, -1};
    for (const float w : rounded_weights(rows, quant, {&c, 0, true}, kRounding)) {
      const float q = std::ldexp(w, -exponent);
      EXPECT_EQ(q, std::nearbyint(q));
      EXPECT_GE(q, -128);
      EXPECT_LE(q, 127);
    }
  }
}

TEST(Rounding, OutputErrorIsNeverLargerThanOfTheNearest) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const std::int64_t columns = random.between(4, 40);
    const WeightRows rows = rounding_random_rows(random, 6, columns);
    const calib::Covariance c = correlated_inputs(random, 1, columns);
    const TensorQuant quant{8, {-5}, -1};
    for (const bool absorbs : {false, true}) {
      const auto rounded = rounded_weights(rows, quant, {&c, 0, absorbs}, kRounding);
      EXPECT_LE(output_error(rows, rounded, c, absorbs),
                output_error(rows, nearest(rows, quant), c, absorbs))
          << "seed " << seed << ", " << columns << " columns";
    }
  }
}

TEST(Rounding, GainsMuchWhereInputsAreCorrelated) {
  Random random(3);
  const WeightRows rows = rounding_random_rows(random, 16, 40);
  const calib::Covariance c = correlated_inputs(random, 1, 40);
  const TensorQuant quant{8, {-5}, -1};
  const auto rounded = rounded_weights(rows, quant, {&c, 0, true}, kRounding);
  EXPECT_LT(output_error(rows, rounded, c, true),
            0.3 * output_error(rows, nearest(rows, quant), c, true));
}

TEST(Rounding, NoSingleStepOfAWeightWouldLowerTheError) {
  Random random(8);
  const WeightRows rows = rounding_random_rows(random, 3, 20);
  const calib::Covariance c = correlated_inputs(random, 1, 20);
  const float step = 1.0F / 32;
  const std::vector<float> rounded =
      rounded_weights(rows, TensorQuant{8, {-5}, -1}, {&c, 0, true}, kRounding);
  // The covariance is taken for uncertain by a hundredth of the mean variance.
  double variance = 0;
  for (std::size_t k = 0; k < 20; ++k)
    variance += (c.moment_of(0)[k * 20 + k] - c.mean_of(0)[k] * c.mean_of(0)[k]) / 20;
  const auto error_with = [&](std::span<const float> weights) {
    double held = 0;
    for (std::size_t i = 0; i < weights.size(); ++i)
      held += std::pow(static_cast<double>(weights[i]) - static_cast<double>(rows.values[i]), 2);
    return output_error(rows, weights, c, true) + 0.01 * variance * held;
  };
  const double error = error_with(rounded);
  for (std::size_t i = 0; i < rounded.size(); ++i) {
    for (const float move : {-step, step}) {
      std::vector<float> moved = rounded;
      moved[i] += move;
      EXPECT_GE(error_with(moved), error * (1 - 1e-4)) << i;
    }
  }
}

TEST(Rounding, OfIndependentInputsIsToTheNearest) {
  Random random(4);
  const WeightRows rows = rounding_random_rows(random, 4, 24);
  calib::Covariance c{1, 24, 100, std::vector<double>(24, 0.0), std::vector<float>(24 * 24, 0.0F)};
  for (std::size_t i = 0; i < 24; ++i) c.second_moment[i * 24 + i] = 1;
  const TensorQuant quant{8, {-6}, -1};
  EXPECT_EQ(rounded_weights(rows, quant, {&c, 0, true}, kRounding), nearest(rows, quant));
}

TEST(Rounding, NoiseOfTheInputDrownsCorrelations) {
  Random random(5);
  const WeightRows rows = rounding_random_rows(random, 4, 24);
  const calib::Covariance c = correlated_inputs(random, 1, 24);
  const TensorQuant quant{8, {-6}, -1};
  EXPECT_EQ(rounded_weights(rows, quant, {&c, 1e6, true}, kRounding), nearest(rows, quant));
}

TEST(Rounding, UsesTheExponentOfEachRowAndTheCovarianceOfItsGroup) {
  Random random(6);
  WeightRows both = rounding_random_rows(random, 4, 12);
  both.rows_per_group = 2;
  const calib::Covariance c = correlated_inputs(random, 2, 12);
  const TensorQuant quant{8, {-4, -5, -6, -7}, 0};
  const auto rounded = rounded_weights(both, quant, {&c, 0.01, true}, kRounding);
  for (std::int64_t r = 0; r < 4; ++r) {
    WeightRows one;
    one.rows = one.rows_per_group = 1;
    one.columns = 12;
    one.values.assign(both.row(r).begin(), both.row(r).end());
    calib::Covariance own{1, 12, c.positions, {}, {}};
    own.mean.assign(c.mean_of(r / 2).begin(), c.mean_of(r / 2).end());
    own.second_moment.assign(c.moment_of(r / 2).begin(), c.moment_of(r / 2).end());
    const TensorQuant mine{8, {quant.exponents[static_cast<std::size_t>(r)]}, -1};
    const auto expected = rounded_weights(one, mine, {&own, 0.01, true}, kRounding);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), rounded.begin() + r * 12)) << r;
  }
}

TEST(Rounding, OfInputsThatNeverVaryIsToTheNearest) {
  Random random(7);
  const WeightRows rows = rounding_random_rows(random, 2, 8);
  const calib::Covariance still{1, 8, 10, std::vector<double>(8, 0.0),
                                std::vector<float>(64, 0.0F)};
  const TensorQuant quant{8, {-6}, -1};
  EXPECT_EQ(rounded_weights(rows, quant, {&still, 0, true}, kRounding), nearest(rows, quant));
}

TEST(Rounding, LeavesZerosWhereTheyAreToStay) {
  Random random(5);
  WeightRows rows = rounding_random_rows(random, 3, 24);
  for (std::size_t i = 0; i < rows.values.size(); i += 3) rows.values[i] = 0;
  const calib::Covariance inputs = correlated_inputs(random, 1, 24);
  TensorQuant quant;
  quant.exponents = {-3};
  const auto zeros_moved = [&](bool keep) {
    const auto rounded = rounded_weights(rows, quant, {&inputs, 0, true, keep}, kRounding);
    std::size_t moved = 0;
    for (std::size_t i = 0; i < rounded.size(); i += 3) moved += rounded[i] != 0 ? 1 : 0;
    return moved;
  };
  EXPECT_EQ(zeros_moved(true), 0U);
  EXPECT_GT(zeros_moved(false), 0U);
}

}  // namespace
}  // namespace espquant::quant
