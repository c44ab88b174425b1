#include "quant/errors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fixed_point.h"
#include "quant/widths.h"

namespace espquant::quant {
namespace {
constexpr double kInfinite = std::numeric_limits<double>::infinity();

bool is_threshold(Method method) {
  return method == Method::MinMax || method == Method::Percentile || method == Method::Entropy;
}

/// What a step may be multiplied by to reach the largest magnitude. 16 bits may miss it by one step
/// (the lowest integer does not): the next octave would double the error of everything for that. At
/// 8 bits what clipping costs has been measured.
int reach_of(int bits) { return bits == 16 ? max_q_of(bits) + 1 : max_q_of(bits); }
}  // namespace

ActivationErrors::ActivationErrors(const Graph& graph, const Plan& plan,
                                   const calib::Statistics& statistics)
    : plan_(plan),
      statistics_(statistics),
      shares_(graph, plan, statistics),
      relative_(plan.rounded.size()) {
  for (std::size_t v = 0; v < relative_.size(); ++v) {
    if (!plan.rounded[v] && !plan.rounded_by_reader[v]) continue;
    const Method method = is_threshold(plan.methods[v]) ? Method::Mse : plan.methods[v];
    relative_[v] = relative_errors(method, statistics.values[v]);
  }
}

std::vector<ActivationErrors::Member> ActivationErrors::members(
    std::span<const ValueId> values) const {
  std::vector<Member> members;
  for (ValueId v : values)
    if (plan_.rounded[static_cast<std::size_t>(v)]) members.push_back({v, shares_.of(v)});
  return members;
}

bool ActivationErrors::counts(ValueId v) const {
  const auto i = static_cast<std::size_t>(v);
  return (plan_.rounded[i] || plan_.rounded_by_reader[i]) && statistics_.of(v).sum_squares > 0;
}

double ActivationErrors::relative(ValueId v, float factor, int exponent, int bits) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  if (!counts(v)) return 0;
  const double step = std::ldexp(1.0, exponent) / static_cast<double>(factor);
  const double uniform =
      std::min(1.0, static_cast<double>(s.count) * step * step / 12 / s.sum_squares);
  const auto& errors = relative_[static_cast<std::size_t>(v)];
  if (bits == 16)
    return static_cast<double>(s.extent.abs_max()) <= step * reach_of(bits) ? uniform : kInfinite;
  // Steps are descending.
  if (errors.empty() || step > static_cast<double>(s.steps.front()) * 1.01) return uniform;
  for (std::size_t i = 0; i < s.steps.size(); ++i)
    if (std::abs(step / static_cast<double>(s.steps[i]) - 1) < 0.01) return errors[i];
  return kInfinite;
}

double ActivationErrors::relative(std::span<const Member> members, float factor, int exponent,
                                  int bits) const {
  double sum = 0;
  for (const auto& [v, share] : members)
    if (share > 0) sum += share * relative(v, factor, exponent, bits);
  return sum;
}

std::vector<int> ActivationErrors::candidates(ValueId v, float factor, int bits) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  if (bits == 16) return {covering_exponent(s.extent.abs_max() * factor, reach_of(bits))};
  std::vector<int> exponents;
  for (float step : s.steps) {
    const double exponent = std::log2(static_cast<double>(step) * static_cast<double>(factor));
    if (std::abs(exponent - std::round(exponent)) <= 0.02)
      exponents.push_back(static_cast<int>(std::lround(exponent)));
  }
  return exponents;
}

calib::Extent ActivationErrors::extent(ValueId v) const { return statistics_.of(v).extent; }

const calib::StepNoise* ActivationErrors::step_noise(std::span<const Member> members,
                                                     int bits) const {
  if (bits != 8 || members.empty()) return nullptr;
  // Guests from other groups follow the members.
  const auto found = statistics_.step_noise.find(plan_.exponents.find(members.front().value));
  const bool asked = plan_.methods[static_cast<std::size_t>(members.front().value)] == Method::Auto;
  return asked && found != statistics_.step_noise.end() ? &found->second : nullptr;
}

double ActivationErrors::loss(std::span<const Member> members, float factor, int exponent,
                              int bits) const {
  const calib::StepNoise* noise = step_noise(members, bits);
  return noise != nullptr ? noise->at(std::ldexp(1.0, exponent) / static_cast<double>(factor))
                          : relative(members, factor, exponent, bits);
}

double ActivationErrors::mean_square(ValueId v) const {
  const calib::ValueStatistics& s = statistics_.of(v);
  return s.count > 0 ? s.sum_squares / static_cast<double>(s.count) : 0;
}

int ActivationErrors::covering(std::span<const Member> members, float factor, int bits) const {
  float largest = 0;
  for (const auto& [v, share] : members)
    if (counts(v)) largest = std::max(largest, statistics_.of(v).extent.abs_max());
  return covering_exponent(largest * factor, reach_of(bits));
}

ActivationErrors::Choice ActivationErrors::best(std::span<const Member> members, float factor,
                                                int bits) const {
  const calib::StepNoise* noise = step_noise(members, bits);
  if (noise == nullptr) return best_by_errors(members, factor, bits);
  const auto exponent_of = [&](double step) {
    return static_cast<int>(std::ceil(std::log2(step * static_cast<double>(factor)) - 0.02));
  };
  Choice choice;
  // Of two that are equally good, the larger range.
  for (int e = exponent_of(noise->coarsest()); e >= exponent_of(noise->finest()); --e)
    if (const double error = loss(members, factor, e, bits); !choice.found || error < choice.error)
      choice = {e, error, true, false};
  return choice;
}

ActivationErrors::Choice ActivationErrors::best_by_errors(std::span<const Member> members,
                                                          float factor, int bits) const {
  Choice choice;
  const bool by_threshold = std::any_of(members.begin(), members.end(), [&](const Member& m) {
    return counts(m.value) && is_threshold(plan_.methods[static_cast<std::size_t>(m.value)]);
  });
  if (by_threshold) {
    choice.by_threshold = true;
    for (const auto& [v, share] : members) {
      if (!counts(v)) continue;
      const int e =
          clipping_exponent(plan_.methods[static_cast<std::size_t>(v)], statistics_.of(v),
                            reach_of(bits), plan_.percentiles[static_cast<std::size_t>(v)], factor);
      choice.exponent = choice.found ? std::max(choice.exponent, e) : e;
      choice.found = true;
    }
    for (const auto& [v, share] : members) {
      const double error = relative(v, factor, choice.exponent, bits);
      choice.error += share * (std::isfinite(error) ? error : 1.0);
    }
    return choice;
  }
  choice.error = kInfinite;
  for (const auto& [v, share] : members) {
    if (!counts(v)) continue;
    for (int e : candidates(v, factor, bits)) {
      const double error = relative(members, factor, e, bits);
      if (error < choice.error || (error == choice.error && choice.found && e > choice.exponent))
        choice = {e, error, true, false};
    }
  }
  return choice;
}

}  // namespace espquant::quant
