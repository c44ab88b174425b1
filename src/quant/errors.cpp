#include "quant/errors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fixed_point.h"
#include "quant/widths.h"

namespace espquant::quant {
namespace {
constexpr double kInfinite = std::numeric_limits<double>::infinity();
}

double ActivationErrors::relative(ValueId v, float factor, int exponent, int bits) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  if (!plan_.rounded[static_cast<std::size_t>(v)] || s.sum_squares <= 0) return 0;
  const double step = std::ldexp(1.0, exponent) / static_cast<double>(factor);
  const double uniform = static_cast<double>(s.count) * step * step / 12 / s.sum_squares;
  if (bits == 16)
    return static_cast<double>(s.extent.abs_max()) <= step * max_q_of(bits) ? uniform : kInfinite;
  // Steps are descending.
  if (s.steps.empty() || step > static_cast<double>(s.steps.front()) * 1.01) return uniform;
  for (std::size_t i = 0; i < s.steps.size(); ++i)
    if (std::abs(step / static_cast<double>(s.steps[i]) - 1) < 0.01)
      return s.errors[i] / s.sum_squares;
  return kInfinite;
}

double ActivationErrors::relative(std::span<const ValueId> members, float factor, int exponent,
                                  int bits) const {
  double sum = 0;
  for (ValueId v : members) sum += relative(v, factor, exponent, bits);
  return sum;
}

std::vector<int> ActivationErrors::candidates(ValueId v, float factor, int bits) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  if (bits == 16) return {covering_exponent(s.extent.abs_max() * factor, max_q_of(bits))};
  std::vector<int> exponents;
  for (float step : s.steps) {
    const double exponent = std::log2(static_cast<double>(step) * static_cast<double>(factor));
    if (std::abs(exponent - std::round(exponent)) <= 0.02)
      exponents.push_back(static_cast<int>(std::lround(exponent)));
  }
  return exponents;
}

ActivationErrors::Choice ActivationErrors::best(std::span<const ValueId> members, float factor,
                                                int bits) const {
  Choice choice;
  choice.error = kInfinite;
  for (ValueId v : members) {
    if (!plan_.rounded[static_cast<std::size_t>(v)] || statistics_.of(v).sum_squares <= 0) continue;
    for (int e : candidates(v, factor, bits)) {
      const double error = relative(members, factor, e, bits);
      if (error < choice.error || (error == choice.error && choice.found && e > choice.exponent))
        choice = {e, error, true};
    }
  }
  return choice;
}

}  // namespace espquant::quant
