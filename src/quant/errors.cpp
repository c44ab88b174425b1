#include "quant/errors.h"

#include <cmath>
#include <limits>

namespace espquant::quant {
namespace {
constexpr double kInfinite = std::numeric_limits<double>::infinity();
}

double ActivationErrors::relative(ValueId v, float factor, int exponent) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  if (!plan_.rounded[static_cast<std::size_t>(v)] || s.steps.empty() || s.sum_squares <= 0)
    return 0;
  const double step = std::ldexp(1.0, exponent) / static_cast<double>(factor);
  // Steps are descending.
  if (step > static_cast<double>(s.steps.front()) * 1.01)
    return static_cast<double>(s.count) * step * step / 12 / s.sum_squares;
  for (std::size_t i = 0; i < s.steps.size(); ++i)
    if (std::abs(step / static_cast<double>(s.steps[i]) - 1) < 0.01)
      return s.errors[i] / s.sum_squares;
  return kInfinite;
}

double ActivationErrors::relative(std::span<const ValueId> members, float factor,
                                  int exponent) const {
  double sum = 0;
  for (ValueId v : members) sum += relative(v, factor, exponent);
  return sum;
}

ActivationErrors::Choice ActivationErrors::best(std::span<const ValueId> members,
                                                float factor) const {
  Choice choice;
  choice.error = kInfinite;
  for (ValueId v : members) {
    const calib::ValueStatistics& s = statistics_.of(v);
    if (!plan_.rounded[static_cast<std::size_t>(v)] || s.sum_squares <= 0) continue;
    for (float step : s.steps) {
      const double exponent = std::log2(static_cast<double>(step) * static_cast<double>(factor));
      if (std::abs(exponent - std::round(exponent)) > 0.02) continue;
      const int e = static_cast<int>(std::lround(exponent));
      const double error = relative(members, factor, e);
      if (error < choice.error || (error == choice.error && choice.found && e > choice.exponent))
        choice = {e, error, true};
    }
  }
  return choice;
}

}  // namespace espquant::quant
