#include "calib/step_noise.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espquant::calib {
namespace {

// Steps that differ by less are the same: they come from powers of two and factors of float32.
constexpr double kSameStep = 1e-3;
// For logarithms of no noise at all.
constexpr double kLeastNoise = 1e-30;

}  // namespace

double StepNoise::at(double step) const {
  const auto above = noise_.lower_bound(step * (1 - kSameStep));
  if (above == noise_.end()) {
    if (empty()) return std::numeric_limits<double>::infinity();
    const double beyond = step / coarsest();
    return noise_.rbegin()->second * beyond * beyond;
  }
  if (above->first <= step * (1 + kSameStep)) return above->second;
  if (above == noise_.begin()) return std::numeric_limits<double>::infinity();
  const auto below = std::prev(above);
  const double part = std::log(step / below->first) / std::log(above->first / below->first);
  const double low = std::log(std::max(below->second, kLeastNoise));
  const double high = std::log(std::max(above->second, kLeastNoise));
  return std::exp(low + part * (high - low));
}

}  // namespace espquant::calib
