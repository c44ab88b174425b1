#pragma once

#include <optional>
#include <vector>

#include "schedule/region.h"

namespace espquant::schedule {

struct RegionChoice {
  /// In order of execution; the nodes between them run as they did.
  std::vector<Region> regions;
  double milliseconds = 0;
};

/// Where no choice serves: how far one gets.
struct Obstacle {
  /// The node that cannot be passed.
  std::size_t node = 0;
  /// What lies in memory while it runs.
  std::size_t bytes = 0;
};

/// Chooses which runs of nodes of a model are computed in bands.
class RegionChooser {
 public:
  RegionChooser(const Dataflow& flow, const Conditions& conditions);

  /// The fastest by the latency model of those with which no more than `limit` bytes of activations
  /// lie in memory at any time, holes of the planner left out. Exact over all runs of nodes: what
  /// lies in memory between two nodes does not depend on how those before were computed.
  std::optional<RegionChoice> choose(std::size_t limit);

  /// Of the last choose() that found nothing.
  const Obstacle& obstacle() const { return obstacle_; }
  Regions& regions() { return regions_; }

 private:
  const Dataflow& flow_;
  Regions regions_;
  /// Per node, as it runs now.
  std::vector<std::size_t> bytes_;
  std::vector<double> milliseconds_;
  Obstacle obstacle_;
};

}  // namespace espquant::schedule
