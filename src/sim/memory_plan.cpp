#include "sim/memory_plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <queue>

namespace espquant::sim {
namespace {

/// The bytes of the arena that nobody uses, as offset -> length, neighbours merged.
class FreeList {
 public:
  std::size_t take(std::size_t size) {
    auto best = holes_.end();
    for (auto hole = holes_.begin(); hole != holes_.end(); ++hole)
      if (hole->second >= size && (best == holes_.end() || hole->second < best->second))
        best = hole;
    if (best == holes_.end()) return grow(size);
    const auto [offset, length] = *best;
    holes_.erase(best);
    if (length > size) holes_.emplace(offset + size, length - size);
    return offset;
  }

  void give_back(std::size_t offset, std::size_t size) {
    const auto hole = holes_.emplace(offset, size).first;
    if (const auto next = std::next(hole); next != holes_.end() && offset + size == next->first) {
      hole->second += next->second;
      holes_.erase(next);
    }
    if (hole == holes_.begin()) return;
    if (const auto before = std::prev(hole); before->first + before->second == offset) {
      before->second += hole->second;
      holes_.erase(hole);
    }
  }

  std::size_t arena_size() const { return arena_size_; }

 private:
  /// A hole that ends the arena is extended, so that a large tensor does not leave it behind.
  std::size_t grow(std::size_t size) {
    std::size_t offset = arena_size_;
    if (!holes_.empty()) {
      const auto last = std::prev(holes_.end());
      if (last->first + last->second == arena_size_) {
        offset = last->first;
        holes_.erase(last);
      }
    }
    arena_size_ = offset + size;
    return offset;
  }

  std::map<std::size_t, std::size_t> holes_;
  std::size_t arena_size_ = 0;
};

}  // namespace

std::size_t aligned_size(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

MemoryPlan plan_buffers(std::span<const Lifetime> tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tensors[a].begin < tensors[b].begin;
  });

  using Ending = std::pair<std::size_t, std::size_t>;  // step, tensor
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> alive;
  FreeList arena;
  MemoryPlan plan;
  plan.offsets.resize(tensors.size());
  for (std::size_t t : order) {
    while (!alive.empty() && alive.top().first < tensors[t].begin) {
      const std::size_t dead = alive.top().second;
      alive.pop();
      if (tensors[dead].size > 0)
        arena.give_back(plan.offsets[dead], aligned_size(tensors[dead].size));
    }
    if (tensors[t].size > 0) plan.offsets[t] = arena.take(aligned_size(tensors[t].size));
    alive.emplace(tensors[t].end, t);
  }
  plan.size = arena.arena_size();
  return plan;
}

}  // namespace espquant::sim
