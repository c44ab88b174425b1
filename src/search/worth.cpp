#include "search/worth.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espquant::search {
namespace {

/// A third of the noise of anything as cheap is worth no more than this, and neither is a candidate
/// that nothing else is as cheap as: else the search would begin where noise is cheapest to avoid.
constexpr double kMostWorth = 1.0;

double worth_beside_recommended(const Merit& merit, std::span<const Merit> known,
                                std::span<const Goal> goals, Metric minimized) {
  const auto best = recommended_of(known, goals, minimized);
  if (!best) return 0;
  const Merit& now = known[*best];
  const double missed = violation_of(now, goals);
  const double mine = violation_of(merit, goals);
  if (mine > missed) return 0;
  if (missed > 0) return std::min(missed - mine, kMostWorth);
  if (minimized == Metric::AccuracyDrop) return 0;  // not predicted
  const double before = value_of(now, minimized), after = value_of(merit, minimized);
  return after > 0 && after < before ? std::log(before / after) : 0;
}

}  // namespace

double worth_of(const Merit& merit, std::span<const Merit> known, std::span<const Goal> goals,
                Metric minimized) {
  double least_noise = std::numeric_limits<double>::infinity();
  for (const Merit& m : known)
    if (m.milliseconds <= merit.milliseconds && m.flash <= merit.flash && m.ram <= merit.ram)
      least_noise = std::min(least_noise, m.noise);
  const double gain = std::isfinite(least_noise) && merit.noise > 0
                          ? std::min(std::log(least_noise / merit.noise), kMostWorth)
                          : kMostWorth;
  return gain + worth_beside_recommended(merit, known, goals, minimized);
}

std::optional<double> likely_drop(double noise, std::span<const Merit> known) {
  std::optional<double> drop;
  double nearest = std::numeric_limits<double>::infinity();
  for (const Merit& m : known) {
    const double distance = std::abs(std::log(std::max(m.noise, 1e-12) / std::max(noise, 1e-12)));
    if (!m.accuracy_drop || distance >= nearest) continue;
    nearest = distance;
    drop = m.accuracy_drop;
  }
  return drop;
}

}  // namespace espquant::search
