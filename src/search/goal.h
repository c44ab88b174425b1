#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace espquant::search {

/// What a search measures of a candidate. Fractions are of 1 here, of 100 where people read and
/// write them.
enum class Metric : std::uint8_t {
  AccuracyDrop,  ///< "accuracy-drop": below the float network's; without labels, 1 - agreement
  Noise,         ///< "noise": to signal at the outputs
  Milliseconds,  ///< "ms": of a run, estimated
  Flash,         ///< "flash": bytes of the .espdl without its metadata
  Ram,           ///< "ram": bytes of activations and copied parameters, as the runtime plans them
};

std::string_view name_of(Metric metric);
/// Throws Error(Usage) with the nearest name.
Metric parse_metric(std::string_view name);

/// At most `limit` of a metric.
struct Goal {
  Metric metric = Metric::Noise;
  double limit = 0;

  bool operator==(const Goal&) const = default;
};

/// "accuracy-drop<=0.5" (points of 100), "noise<=1" (%), "ms<=20", "flash<=300K", "ram<=1.5M" (K
/// and M are 1024 and 1024 * 1024). Throws Error(Usage) that says what is not understood.
Goal parse_goal(std::string_view text);
/// As parse_goal reads it.
std::string text_of(const Goal& goal);

/// What is known of a candidate that was measured completely.
struct Merit {
  double noise = 0;
  double milliseconds = 0;
  std::int64_t flash = 0, ram = 0;
  /// Nothing where the network gives no class scores.
  std::optional<double> accuracy_drop;

  bool operator==(const Merit&) const = default;
};

/// In units of the metric; infinite for an accuracy that is not known.
double value_of(const Merit& merit, Metric metric);

/// How far `merit` is from meeting all `goals`: 0 where it does, else the sum of what each is
/// exceeded by, relative to its limit.
double violation_of(const Merit& merit, std::span<const Goal> goals);

/// Whether `a` is at least as good as `b` in noise, time, flash and RAM, and better in one.
bool dominates(const Merit& a, const Merit& b);

/// Indices of those that no other dominates, ascending; of equal ones the first.
std::vector<std::size_t> front_of(std::span<const Merit> all);

/// The one to recommend: of those that meet the goals the least of `minimized`, then of noise, then
/// the first; where none does, the one that is nearest. Nothing of nothing.
std::optional<std::size_t> recommended_of(std::span<const Merit> all, std::span<const Goal> goals,
                                          Metric minimized);

}  // namespace espquant::search
