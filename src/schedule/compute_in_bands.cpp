#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "schedule/choose_regions.h"
#include "schedule/fit_memory.h"
#include "schedule/in_place_writes.h"

namespace espquant::schedule {
namespace {

/// Looks for regions with which the runtime's plan, holes included, is small enough.
class BandSearch {
 public:
  BandSearch(const espdl::Model& model, const Conditions& conditions)
      : flow_(model), conditions_(conditions), chooser_(flow_, conditions) {
    for (std::size_t n = 0; n < model.nodes.size(); ++n) numbers_.emplace(model.nodes[n].name, n);
  }

  struct Found {
    std::vector<Region> regions;
    espdl::Model model;
    std::size_t bytes = 0;
    double milliseconds = 0;
    /// Where each activation ends.
    std::vector<std::size_t> ends;
    /// The node of the original that wrote what lies last in memory; none where a band did.
    std::optional<std::size_t> top;
  };

  /// The fastest of those that were looked at whose plan fits.
  std::optional<Found> fit(std::size_t limit) {
    renew_budget();
    constexpr int kTries = 10;
    constexpr std::size_t kBeginnings = 3;
    std::vector<Found> near;
    std::size_t in_use = limit;
    for (int i = 0; i < kTries; ++i) {
      auto found = under(in_use);
      if (!found || found->bytes <= limit) {
        if (found) return found;
        break;
      }
      // Holes: leave room for as much.
      in_use -= std::max<std::size_t>(std::min(found->bytes - limit, in_use / 32), 16);
      near.push_back(std::move(*found));
    }
    std::stable_sort(near.begin(), near.end(),
                     [](const Found& a, const Found& b) { return a.bytes < b.bytes; });
    for (std::size_t i = 0; i < std::min(near.size(), kBeginnings); ++i)
      if (auto found = climb(std::move(near[i]), limit); found.bytes <= limit) return found;
    auto smallest = least();
    if (smallest.bytes <= limit) return smallest;
    return std::nullopt;
  }

  /// The smallest plan that was found.
  Found least() {
    if (least_) return *least_;
    renew_budget();
    least_ = made_of({});
    // Holes make it that a lower limit may give a larger plan: several are looked at.
    constexpr std::size_t kSteps = 16;
    const std::size_t before = least_->bytes;
    const auto look = [&](std::size_t in_use) {
      auto found = under(in_use);
      if (!found) return false;
      if (found->bytes < least_->bytes) least_ = std::move(found);
      return true;
    };
    std::size_t low = 0, high = before;
    for (std::size_t step = 1; step < kSteps && low == 0; ++step) {
      const std::size_t in_use = before - before / kSteps * step;
      (look(in_use) ? high : low) = in_use;
    }
    constexpr std::size_t kCloseEnough = 512;
    while (high - low > kCloseEnough) {
      const std::size_t middle = low + (high - low) / 2;
      (look(middle) ? high : low) = middle;
    }
    for (;;) {
      // Lower and lower.
      constexpr std::size_t kParts = 32;
      const std::size_t goal = least_->bytes - least_->bytes / kParts;
      auto found = climb(*least_, goal);
      if (found.bytes >= least_->bytes) return *least_;
      least_ = std::move(found);
    }
  }

  /// Of the last fit() that found nothing.
  Obstacle obstacle_to(std::size_t limit) {
    if (chooser_.choose(limit)) return {least().top.value_or(0), least().bytes};
    return chooser_.obstacle();
  }

 private:
  std::optional<Found> under(std::size_t in_use) {
    const auto choice = chooser_.choose(in_use);
    if (!choice) return std::nullopt;
    return made_of(choice->regions);
  }

  /// Plans to be made before the best so far is taken: each takes time with the number of nodes.
  void renew_budget() {
    constexpr std::size_t kNodes = 100000;
    budget_ = kNodes / std::max<std::size_t>(flow_.nodes().size(), 1);
  }

  Found made_of(const std::vector<Region>& regions) {
    budget_ -= budget_ > 0 ? 1 : 0;
    Found found{regions, flow_.model(), 0, 0, {}, {}};
    for (auto at = regions.rbegin(); at != regions.rend(); ++at) {
      const Dataflow flow(found.model);
      found.model = write_bands(flow, Regions(flow, conditions_), *at, conditions_.target);
    }
    protect_from_in_place_writes(found.model, conditions_.target, conditions_.latency);
    const auto plan = cost::plan_memory(found.model, conditions_.target, conditions_.planner);
    found.bytes = plan.activation_bytes();
    cost::LatencyOptions latency = conditions_.latency;
    latency.parameters_in_flash = !conditions_.planner.copy_parameters;
    found.milliseconds =
        cost::estimate_latency(found.model, conditions_.target, latency).milliseconds;
    for (const auto& tensor : plan.tensors) found.ends.push_back(tensor.offset + tensor.bytes);
    const auto last = std::max_element(
        plan.tensors.begin(), plan.tensors.end(),
        [](const auto& a, const auto& b) { return a.offset + a.bytes < b.offset + b.bytes; });
    if (last != plan.tensors.end())
      if (const auto at = numbers_.find(found.model.nodes[last->begin].name); at != numbers_.end())
        found.top = at->second;
    return found;
  }

  /// How far all activations together lie beyond the limit: several may be as far out as the last.
  static std::size_t beyond(const Found& found, std::size_t limit) {
    std::size_t sum = 0;
    for (const std::size_t end : found.ends) sum += end > limit ? end - limit : 0;
    return sum;
  }

  /// Steps to the best neighbour until none is better, or the plan fits. The smallest on the way.
  Found climb(Found at, std::size_t limit) {
    constexpr int kSteps = 16;
    Found smallest = at;
    for (int step = 0; step < kSteps && at.bytes > limit && budget_ > 0; ++step) {
      std::optional<Found> best;
      for (const auto& regions : neighbours_of(at, limit)) {
        if (budget_ == 0) break;
        Found other = made_of(regions);
        const Found& other_best = best ? *best : at;
        if (std::pair(beyond(other, limit), other.milliseconds) <
            std::pair(beyond(other_best, limit), other_best.milliseconds))
          best = std::move(other);
      }
      if (!best) break;
      at = std::move(*best);
      if (at.bytes < smallest.bytes) smallest = at;
    }
    return smallest;
  }

  /// The same with one region changed, or one more where memory ends.
  std::vector<std::vector<Region>> neighbours_of(const Found& found, std::size_t limit) {
    std::vector<std::vector<Region>> all;
    // In the place of one region, and of those that it reaches into.
    const auto add = [&](std::size_t skipped, std::size_t first, std::size_t end,
                         std::size_t in_use, std::int64_t parts = 2) {
      if (end > flow_.nodes().size() || first >= end) return;
      auto regions = found.regions;
      if (skipped < regions.size())
        regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(skipped));
      std::erase_if(regions, [&](const Region& r) { return r.first < end && first < r.end; });
      const auto next = std::find_if(regions.begin(), regions.end(),
                                     [&](const Region& r) { return r.end > first; });
      auto banded = chooser_.regions().in_bands(first, end, in_use, parts);
      if (!banded) return;
      regions.insert(next, std::move(banded->region));
      all.push_back(std::move(regions));
    };
    constexpr std::array kShares = {1.0, 0.98, 0.96, 0.94, 0.92, 0.88, 0.84, 0.78, 0.7};
    const auto part = [&](double share) {
      return static_cast<std::size_t>(share * static_cast<double>(limit));
    };
    for (std::size_t r = 0; r < found.regions.size(); ++r) {
      const Region& region = found.regions[r];
      for (const double share : kShares) add(r, region.first, region.end, part(share));
      // Bands of one size leave fewer holes than ever smaller ones.
      for (const std::int64_t parts : {8, 12, 16, 20, 24, 28, 32})
        add(r, region.first, region.end, limit, parts);
      for (const int by : {-4, -2, -1, 1, 2, 4, 7}) {
        if (by > 0 || region.first >= static_cast<std::size_t>(-by))
          add(r, region.first + static_cast<std::size_t>(by), region.end, part(kShares[1]));
        add(r, region.first, region.end + static_cast<std::size_t>(by), part(kShares[1]));
      }
    }
    if (!found.top) return all;
    for (std::size_t before = 0; before <= std::min<std::size_t>(3, *found.top); ++before)
      for (std::size_t behind = 1; behind <= 8; ++behind)
        for (const double share : {kShares[1], kShares[7]})
          add(found.regions.size(), *found.top - before, *found.top + behind, part(share));
    return all;
  }

  const Dataflow flow_;
  const Conditions& conditions_;
  RegionChooser chooser_;
  std::unordered_map<std::string_view, std::size_t> numbers_;
  std::optional<Found> least_;
  std::size_t budget_ = 0;
};

std::string kib(std::size_t bytes) { return fmt::format("{}K", (bytes + 1023) / 1024); }

}  // namespace

std::int64_t compute_in_bands(espdl::Model& model, const Conditions& conditions,
                              std::size_t limit) {
  const std::size_t before =
      cost::plan_memory(model, conditions.target, conditions.planner).activation_bytes();
  if (before <= limit) return 0;
  const espdl::Model whole = model;
  BandSearch search(whole, conditions);
  if (auto found = search.fit(limit)) {
    model = std::move(found->model);
    return static_cast<std::int64_t>(found->regions.size());
  }
  const Obstacle obstacle = search.obstacle_to(limit);
  const auto& node = whole.nodes[obstacle.node];
  const auto least = search.least();
  throw Error(ErrorCode::Illegal,
              fmt::format("activations do not fit into {} bytes: {} is the least that was found. "
                          "What is in memory while this {} runs, {} bytes, stands in the way",
                          limit, least.bytes, node.op, obstacle.bytes))
      .node(node.name)
      .remedy(fmt::format("Ask for ram={}, or give the network a smaller input or fewer channels",
                          kib(least.bytes)));
}

}  // namespace espquant::schedule
