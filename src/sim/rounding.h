#pragma once

#include <limits>

#include "base/fixed_point.h"

namespace espquant::sim {

/// Clips to T, in 32 bits, which vectorises.
template <typename T>
constexpr T narrow(std::int32_t v) {
  constexpr std::int32_t kLow = std::numeric_limits<T>::min(),
                         kHigh = std::numeric_limits<T>::max();
  v = v < kLow ? kLow : v;
  return static_cast<T>(v > kHigh ? kHigh : v);
}

/// sat(round(v)) as ESP-DL 0.1 rounds, for int8 and int16. Equal to saturate<T>(round_to_int(v))
/// for every float; written without calls and branches so that loops over it vectorise.
template <typename T, Rounding kRounding>
inline T round_saturate(float v) {
  constexpr std::int32_t kLow = std::numeric_limits<T>::min(),
                         kHigh = std::numeric_limits<T>::max();
  v = v == v ? v : static_cast<float>(kHigh + 1);
  v = v < static_cast<float>(kLow - 1) ? static_cast<float>(kLow - 1) : v;
  v = v > static_cast<float>(kHigh + 1) ? static_cast<float>(kHigh + 1) : v;
  std::int32_t q;
  if constexpr (kRounding == Rounding::HalfUp) {
    const float sum = v + 0.5F;
    q = static_cast<std::int32_t>(sum);
    q -= static_cast<float>(q) > sum ? 1 : 0;
  } else {
    // Beyond this number a float has no fraction: the sum rounds to the nearest even integer.
    constexpr float kNoFraction = 12582912.0F;
    q = static_cast<std::int32_t>((v + kNoFraction) - kNoFraction);
  }
  return narrow<T>(q);
}

/// Calls f.operator()<R>() with the rounding as a constant.
template <typename F>
decltype(auto) visit_rounding(Rounding rounding, F&& f) {
  return rounding == Rounding::HalfUp ? f.template operator()<Rounding::HalfUp>()
                                      : f.template operator()<Rounding::HalfEven>();
}

/// ESP-DL 0.1, round(double): half-up adds and floors; half-even is done in software, with a tie
/// within 1e-6 of the half.
inline std::int32_t round_to_int(double v, Rounding rounding) {
  constexpr double kMin = std::numeric_limits<std::int32_t>::min();
  constexpr double kMax = std::numeric_limits<std::int32_t>::max();
  const bool half_up = rounding == Rounding::HalfUp;
  const double moved = half_up ? std::floor(v + 0.5) : v < 0 ? v - 0.5 : v + 0.5;
  if (moved <= kMin) return std::numeric_limits<std::int32_t>::min();
  if (!(moved < kMax)) return std::numeric_limits<std::int32_t>::max();
  auto q = static_cast<std::int32_t>(moved);
  if (!half_up && std::fabs(moved - q) < 1e-6 && (q & 1) != 0) q += v < 0 ? 1 : -1;
  return q;
}

}  // namespace espquant::sim
