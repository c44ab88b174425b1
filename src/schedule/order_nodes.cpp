#include <algorithm>
#include <map>

#include "cost/in_place.h"
#include "schedule/dataflow.h"
#include "schedule/in_place_writes.h"
#include "schedule/rewrites.h"

/// The order of execution in which least lies in memory at a time. Orders are built node by node;
/// of those that have run the same nodes only the best goes on, and of all others the most
/// promising: exact as long as there are no more than that, as in most networks.
namespace espquant::schedule {
namespace {

constexpr std::size_t kMostPartialOrders = 64;

class OrderSearch {
 public:
  explicit OrderSearch(const espdl::Model& model) : flow_(model), words_((count() + 63) / 64) {
    readers_.resize(flow_.tensors().size());
    waits_for_.resize(count());
    wakes_.resize(count());
    for (std::size_t n = 0; n < count(); ++n)
      for (const std::size_t t : flow_.nodes()[n].inputs) {
        if (t == kNoTensor) continue;
        auto& readers = readers_[source(t)];
        if (readers.empty() || readers.back() != n) readers.push_back(n);
        if (const auto& producer = flow_.tensors()[t].producer) {
          wakes_[*producer].push_back(n);
          ++waits_for_[n];
        }
      }
  }

  std::vector<std::size_t> best() const {
    std::vector<Partial> front{begin()};
    for (std::size_t depth = 0; depth < count(); ++depth) {
      std::map<std::vector<std::uint64_t>, Partial> next;
      for (const Partial& partial : front)
        for (std::size_t n = 0; n < count(); ++n) {
          if (partial.waiting[n] != 0 || has_run(partial.run, n)) continue;
          Partial longer = with(partial, n);
          const auto [at, is_new] = next.try_emplace(longer.run, longer);
          if (!is_new && longer.peak < at->second.peak) at->second = std::move(longer);
        }
      front.clear();
      for (auto& [run, partial] : next) front.push_back(std::move(partial));
      std::stable_sort(front.begin(), front.end(), [](const Partial& a, const Partial& b) {
        return std::pair(a.peak, a.bytes) < std::pair(b.peak, b.bytes);
      });
      if (front.size() > kMostPartialOrders) front.resize(kMostPartialOrders);
    }
    return front.front().order;
  }

 private:
  struct Partial {
    std::vector<std::uint64_t> run;
    std::vector<std::size_t> order;
    /// Per node, inputs that are not there yet.
    std::vector<int> waiting;
    std::size_t bytes = 0, peak = 0;
  };

  std::size_t count() const { return flow_.nodes().size(); }
  std::size_t source(std::size_t t) const { return flow_.tensors()[t].source; }
  static bool has_run(const std::vector<std::uint64_t>& run, std::size_t n) {
    return (run[n / 64] >> (n % 64) & 1) != 0;
  }

  Partial begin() const {
    Partial partial;
    partial.run.assign(words_, 0);
    partial.waiting = waits_for_;
    for (std::size_t t = 0; t < flow_.tensors().size(); ++t)
      if (!flow_.tensors()[t].producer && source(t) == t) partial.bytes += flow_.tensors()[t].bytes;
    partial.peak = partial.bytes;
    return partial;
  }

  /// Nobody reads it any more once these nodes have run.
  bool is_dead(std::size_t t, const std::vector<std::uint64_t>& run) const {
    return flow_.tensors()[t].last_read != kForever && !readers_[t].empty() &&
           std::all_of(readers_[t].begin(), readers_[t].end(),
                       [&](std::size_t n) { return has_run(run, n); });
  }

  Partial with(const Partial& before, std::size_t n) const {
    Partial after = before;
    after.run[n / 64] |= std::uint64_t{1} << (n % 64);
    after.order.push_back(n);
    for (const std::size_t reader : wakes_[n]) --after.waiting[reader];
    const FlowNode& node = flow_.nodes()[n];
    std::size_t taken = 0, given = 0, largest = 0;
    for (const std::size_t t : node.outputs)
      if (t != kNoTensor && source(t) == t) taken += flow_.tensors()[t].bytes;
    std::vector<std::size_t> seen;
    for (const std::size_t t : node.inputs) {
      if (t == kNoTensor) continue;
      const std::size_t s = source(t);
      if (std::find(seen.begin(), seen.end(), s) != seen.end() || !is_dead(s, after.run)) continue;
      seen.push_back(s);
      given += flow_.tensors()[s].bytes;
      largest = std::max(largest, flow_.tensors()[s].bytes);
    }
    const bool in_place =
        cost::in_place_kind(flow_.model().nodes[n].op) == cost::InPlace::Overwrite &&
        node.outputs.size() == 1 && largest >= taken;
    after.peak = std::max(after.peak, before.bytes + (in_place ? 0 : taken));
    after.bytes = before.bytes + taken - given;
    return after;
  }

  const Dataflow flow_;
  const std::size_t words_;
  std::vector<std::vector<std::size_t>> readers_, wakes_;
  std::vector<int> waits_for_;
};

}  // namespace

std::int64_t order_nodes(espdl::Model& model, const Conditions& conditions) {
  const auto planned = [&](const espdl::Model& one) {
    return cost::plan_memory(one, conditions.target, conditions.planner).activation_bytes();
  };
  espdl::Model ordered = model;
  const auto order = OrderSearch(model).best();
  ordered.nodes.clear();
  for (const std::size_t n : order) ordered.nodes.push_back(model.nodes[n]);
  protect_from_in_place_writes(ordered, conditions.target, conditions.latency);
  if (planned(ordered) >= planned(model)) return 0;
  std::int64_t moved = 0;
  for (std::size_t n = 0; n < order.size(); ++n) moved += order[n] != n ? 1 : 0;
  model = std::move(ordered);
  return moved;
}

}  // namespace espquant::schedule
