#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/width_model.h"

namespace espquant::search {

/// In which order a space is gone through.
enum class Order : std::uint8_t {
  Best,        ///< what promises most first
  Random,      ///< drawn without looking at what came out: what others are compared with
  Exhaustive,  ///< value after value, the last choice the fastest, layers by their noise
};

struct Plan {
  std::vector<Goal> goals;
  Metric minimized = Metric::Noise;
  std::uint64_t seed = 1;
  Order order = Order::Best;
  /// Trials that do not wait for each other's outcomes. More keep more machines busy, and look
  /// ahead further in the dark.
  std::size_t generation = 8;
};

/// A trial and what came out.
struct Tried {
  Work work;
  Outcome outcome;
  /// Where it lies in the space; nothing for recipes that are not of it.
  std::optional<Config> config;
  /// Why it was tried: "start", "family", "ladder", "widths", or the name of a choice.
  std::string reason;
};

struct Findings {
  /// In the order tried, refused ones too.
  std::vector<Tried> tried;
  /// Noise alone at 8 bits of each layer that may have more, where it was measured.
  std::vector<std::pair<std::string, double>> layer_noises;
  /// Of each choice that was varied with all else equal: the mean change of the noise's logarithm.
  struct Importance {
    std::string choice, value;
    double change = 0;
    int pairs = 0;
  };
  std::vector<Importance> importance;
  /// Why it ended.
  std::string end;

  /// Of `tried`, those that were not refused.
  std::vector<std::size_t> measured() const;
};

/// Searches `space` for candidates that no other dominates (see Merit), above all near those that
/// meet the goals at least cost. `starts` are tried first. Asks `desk` in generations whose content
/// depends on outcomes of earlier ones alone, so that the same outcomes give the same search,
/// whoever measures them and when. Ends when the desk is over, or when what is expected of more
/// trials is less than what the measurement itself varies by.
Findings run_search(const Space& space, const Plan& plan, const recipe::Recipe& plain,
                    const std::vector<recipe::Recipe>& starts, Desk& desk);

/// What two candidates' noises may differ by, by chance: the standard error of the logarithm of
/// their ratio over the parts of a jury's samples.
double spread_between(const Outcome& a, const Outcome& b);

}  // namespace espquant::search
