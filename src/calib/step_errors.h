#pragma once

#include <span>

namespace espquant::calib {

/// Range of a block of values.
struct Extent {
  float min = 0, max = 0;
  bool finite = true;

  void include(const Extent& other) {
    min = other.min < min ? other.min : min;
    max = other.max > max ? other.max : max;
    finite = finite && other.finite;
  }
  float abs_max() const { return -min > max ? -min : max; }
};

/// Both of the following in one pass.
struct Summary {
  Extent extent;
  double sum_squares = 0;
};
Summary summary_of(std::span<const float> values);

/// Smallest and largest of `values` and 0.
Extent extent_of(std::span<const float> values);

/// Sum of x^2, in fixed blocks.
double sum_of_squares(std::span<const float> values);

/// For each step d: errors[i] += sum over x of (x - d * clip(round(x / d), -max_q - 1, max_q))^2,
/// the exact squared error of quantizing `values` with least significant bit d. Single precision
/// inside blocks of 1024, double across.
void add_step_errors(std::span<const float> values, std::span<const float> steps, int max_q,
                     std::span<double> errors);

/// The same with every error times (x / unit)^2: errors of large values count more.
void add_weighted_step_errors(std::span<const float> values, std::span<const float> steps,
                              int max_q, float unit, std::span<double> errors);

/// Sum of (x * x / unit)^2: what those errors are compared with.
double weighted_sum_of_squares(std::span<const float> values, float unit);

/// rounded[i] = step * clip(round(values[i] / step), -max_q - 1, max_q).
void round_to_step(std::span<const float> values, float step, int max_q, std::span<float> rounded);

/// Sum of (a[i] - b[i])^2, as sum_of_squares sums.
double squared_difference(std::span<const float> a, std::span<const float> b);

/// sums[i] += values[i].
void add_to(std::span<const float> values, std::span<float> sums);

/// The same, and squares[i] += values[i]^2.
void add_moments_to(std::span<const float> values, std::span<float> sums, std::span<float> squares);

}  // namespace espquant::calib
