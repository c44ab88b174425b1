#include "search/goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/quantities.h"
#include "base/text.h"

namespace espquant::search {
namespace {

struct MetricName {
  std::string_view name;
  Metric metric;
  /// What one of a user's units is here.
  double unit;
};

constexpr std::array kMetrics = {
    MetricName{"accuracy-drop", Metric::AccuracyDrop, 0.01},
    MetricName{"noise", Metric::Noise, 0.01},
    MetricName{"ms", Metric::Milliseconds, 1},
    MetricName{"flash", Metric::Flash, 1},
    MetricName{"ram", Metric::Ram, 1},
};

const MetricName& entry_of(Metric metric) {
  return *std::find_if(kMetrics.begin(), kMetrics.end(),
                       [&](const MetricName& m) { return m.metric == metric; });
}

bool is_bytes(Metric metric) { return metric == Metric::Flash || metric == Metric::Ram; }

Error goal_error(std::string_view text, std::string_view what) {
  return Error(ErrorCode::Usage, fmt::format("goal '{}': {}", text, what))
      .remedy("Write accuracy-drop<=0.5, noise<=1, ms<=20, flash<=300K or ram<=200K");
}

double parse_limit(std::string_view whole, std::string_view text, bool bytes) {
  const auto limit = bytes ? parse_bytes(text) : parse_number(text);
  if (!limit || *limit < 0) throw goal_error(whole, fmt::format("'{}' is no amount", text));
  return *limit;
}

}  // namespace

std::string_view name_of(Metric metric) { return entry_of(metric).name; }

Metric parse_metric(std::string_view name) {
  std::vector<std::string> known;
  for (const MetricName& m : kMetrics) {
    if (m.name == name) return m.metric;
    known.emplace_back(m.name);
  }
  const std::string nearest = nearest_name(name, known);
  throw Error(ErrorCode::Usage, fmt::format("nothing called '{}' is measured", name))
      .remedy(nearest.empty() ? "Known: accuracy-drop, noise, ms, flash, ram"
                              : fmt::format("Did you mean '{}'?", nearest));
}

Goal parse_goal(std::string_view text) {
  const std::size_t at = text.find("<=");
  if (at == std::string_view::npos) throw goal_error(text, "there is no '<='");
  const Metric metric = parse_metric(text.substr(0, at));
  const double limit = parse_limit(text, text.substr(at + 2), is_bytes(metric));
  return {metric, limit * entry_of(metric).unit};
}

std::string text_of(const Goal& goal) {
  return fmt::format("{}<={}", name_of(goal.metric), goal.limit / entry_of(goal.metric).unit);
}

double value_of(const Merit& merit, Metric metric) {
  switch (metric) {
    case Metric::AccuracyDrop:
      return merit.accuracy_drop.value_or(std::numeric_limits<double>::infinity());
    case Metric::Noise:
      return merit.noise;
    case Metric::Milliseconds:
      return merit.milliseconds;
    case Metric::Flash:
      return static_cast<double>(merit.flash);
    case Metric::Ram:
      return static_cast<double>(merit.ram);
  }
  return 0;
}

double violation_of(const Merit& merit, std::span<const Goal> goals) {
  constexpr double kLeastLimit = 1e-6;  // of a goal of 0, nothing can be relative to
  double sum = 0;
  for (const Goal& goal : goals)
    sum += std::max(value_of(merit, goal.metric) - goal.limit, 0.0) /
           std::max(goal.limit, kLeastLimit);
  return sum;
}

bool dominates(const Merit& a, const Merit& b) {
  const bool as_good = a.noise <= b.noise && a.milliseconds <= b.milliseconds &&
                       a.flash <= b.flash && a.ram <= b.ram;
  const bool better =
      a.noise < b.noise || a.milliseconds < b.milliseconds || a.flash < b.flash || a.ram < b.ram;
  return as_good && better;
}

std::vector<std::size_t> front_of(std::span<const Merit> all) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < all.size(); ++i) {
    bool beaten = false;
    for (std::size_t k = 0; k < all.size() && !beaten; ++k)
      beaten = dominates(all[k], all[i]) ||
               (k < i && !dominates(all[i], all[k]) && all[k].noise == all[i].noise &&
                all[k].milliseconds == all[i].milliseconds && all[k].flash == all[i].flash &&
                all[k].ram == all[i].ram);
    if (!beaten) front.push_back(i);
  }
  return front;
}

std::optional<std::size_t> recommended_of(std::span<const Merit> all, std::span<const Goal> goals,
                                          Metric minimized) {
  std::optional<std::size_t> best;
  const auto rank = [&](std::size_t i) {
    return std::array{violation_of(all[i], goals), value_of(all[i], minimized), all[i].noise,
                      all[i].milliseconds};
  };
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!best || rank(i) < rank(*best)) best = i;
  return best;
}

}  // namespace espquant::search
