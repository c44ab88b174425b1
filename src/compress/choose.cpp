#include "compress/choose.h"

#include <algorithm>
#include <limits>
#include <map>

#include "base/parallel.h"

namespace espquant::compress {
namespace {

// Sizes of a group that are looked at ahead: a step that gains nothing may lead to one that does.
constexpr std::size_t kStepsAhead = 4;

double beyond(const std::optional<double>& limit, double value) {
  return limit && value > *limit ? value / std::max(*limit, 1e-9) - 1 : 0;
}

/// Numbers of classes gone that are worth a look, ascending.
std::vector<std::size_t> sizes_of(std::size_t count, std::size_t lanes) {
  const std::size_t unit = std::max<std::size_t>(1, count <= 4 * lanes    ? lanes / 4
                                                    : count <= 16 * lanes ? lanes / 2
                                                                          : lanes);
  std::vector<std::size_t> gone;
  for (std::size_t kept = (count - 1) / unit * unit;; kept -= unit) {
    gone.push_back(count - kept);
    if (kept == 0) break;
  }
  return gone;
}

class ChannelChooser {
 public:
  ChannelChooser(const Graph& graph, const Channels& channels, std::span<const RemovalCurve> curves,
                 const PriceOf& price_of, const ChoiceOptions& options)
      : graph_(graph),
        channels_(channels),
        curves_(curves),
        price_of_(price_of),
        options_(options) {
    for (const RemovalCurve& curve : curves)
      sizes_.push_back(curve.order.empty()
                           ? std::vector<std::size_t>()
                           : sizes_of(curve.order.size(), static_cast<std::size_t>(options.lanes)));
    find_neighbours();
  }

  ChannelChoice run() {
    state_.gone.assign(curves_.size(), 0);
    state_.price = price_of_(graph_);
    while (options_.budget.excess(state_.price) > 0)
      if (!step()) break;
    state_.met = options_.budget.excess(state_.price) <= 0;
    if (state_.met) give_back();
    state_.loss = loss_of(state_.gone);
    return state_;
  }

 private:
  struct Move {
    std::size_t group = 0, gone = 0;
    double loss = 0;
    Price price;
  };

  /// Groups that some node has to do with both.
  void find_neighbours() {
    const auto groups = channels_.groups();
    std::vector<std::vector<std::size_t>> at_value(graph_.value_count());
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (ValueId v : groups[g].values) at_value[static_cast<std::size_t>(v)].push_back(g);
    neighbours_.resize(groups.size());
    for (NodeId id : graph_.topological_order()) {
      const Node& n = graph_.node(id);
      std::vector<std::size_t> all;
      for (const auto& list : {n.inputs, n.outputs})
        for (ValueId v : list)
          if (v != kNone)
            all.insert(all.end(), at_value[static_cast<std::size_t>(v)].begin(),
                       at_value[static_cast<std::size_t>(v)].end());
      for (std::size_t a : all) neighbours_[a].insert(neighbours_[a].end(), all.begin(), all.end());
    }
    for (auto& n : neighbours_) {
      std::sort(n.begin(), n.end());
      n.erase(std::unique(n.begin(), n.end()), n.end());
    }
  }

  double loss_of(std::span<const std::size_t> gone) const {
    double loss = 0;
    for (std::size_t g = 0; g < gone.size(); ++g)
      if (gone[g] > 0) loss += curves_[g].loss[gone[g]];
    return loss;
  }

  /// Every value keeps a channel.
  bool is_possible(const std::vector<std::size_t>& gone) const {
    const std::vector<bool> kept = kept_classes(channels_, curves_, gone);
    for (const auto& group : channels_.groups())
      for (ValueId v : group.values) {
        const auto classes = channels_.classes_of(v);
        if (std::none_of(classes.begin(), classes.end(),
                         [&](Channels::Class c) { return kept[static_cast<std::size_t>(c)]; }))
          return false;
      }
    return true;
  }

  Price price_with(const std::vector<std::size_t>& gone) const {
    return price_of_(without_channels(graph_, channels_, kept_classes(channels_, curves_, gone)));
  }

  /// The prices of the moves, those that are known from before taken from memory: what a group
  /// costs depends only on those next to it, but for RAM.
  void price(std::vector<Move>& moves) {
    std::vector<std::size_t> unknown;
    std::vector<std::vector<std::size_t>> keys(moves.size());
    for (std::size_t m = 0; m < moves.size(); ++m) {
      auto& key = keys[m];
      key = {moves[m].group, moves[m].gone};
      for (std::size_t g : neighbours_[moves[m].group]) key.push_back(state_.gone[g]);
      const auto known = known_.find(key);
      if (known == known_.end() || options_.budget.ram_bytes) {
        unknown.push_back(m);
        continue;
      }
      moves[m].price = state_.price;
      moves[m].price.milliseconds += known->second.milliseconds;
      moves[m].price.file_bytes += known->second.file_bytes;
    }
    parallel_for(static_cast<std::int64_t>(unknown.size()), [&](std::int64_t i) {
      Move& move = moves[unknown[static_cast<std::size_t>(i)]];
      std::vector<std::size_t> gone = state_.gone;
      gone[move.group] = move.gone;
      move.price = price_with(gone);
    });
    for (std::size_t m : unknown)
      known_[keys[m]] = {moves[m].price.milliseconds - state_.price.milliseconds,
                         moves[m].price.file_bytes - state_.price.file_bytes, 0};
  }

  void take(const Move& move) {
    state_.gone[move.group] = move.gone;
    state_.price = price_with(state_.gone);
  }

  /// False where no step takes anything off the excess.
  bool step() {
    std::vector<Move> moves;
    for (std::size_t g = 0; g < curves_.size(); ++g) {
      std::size_t ahead = 0;
      for (std::size_t gone : sizes_[g]) {
        if (gone <= state_.gone[g]) continue;
        std::vector<std::size_t> all = state_.gone;
        all[g] = gone;
        if (ahead++ == kStepsAhead || !is_possible(all)) break;
        moves.push_back({g, gone, curves_[g].loss[gone] - curves_[g].loss[state_.gone[g]], {}});
      }
    }
    price(moves);
    const double now = options_.budget.excess(state_.price);
    const Move* best = nullptr;
    double best_rate = 0;
    for (const Move& move : moves) {
      const double gain = now - options_.budget.excess(move.price);
      if (!(gain > 1e-9)) continue;
      const double rate = gain / std::max(move.loss, 1e-12);
      if (best == nullptr || rate > best_rate) {
        best = &move;
        best_rate = rate;
      }
    }
    if (best == nullptr) return false;
    take(*best);
    return true;
  }

  /// What is saved by putting classes back that the budget has room for.
  void give_back() {
    for (;;) {
      std::vector<Move> moves;
      for (std::size_t g = 0; g < curves_.size(); ++g) {
        if (state_.gone[g] == 0) continue;
        moves.push_back({g, 0, 0, {}});
        for (std::size_t gone : sizes_[g])
          if (gone < state_.gone[g]) moves.push_back({g, gone, 0, {}});
      }
      for (Move& move : moves)
        move.loss =
            curves_[move.group].loss[state_.gone[move.group]] - curves_[move.group].loss[move.gone];
      price(moves);
      const Move* best = nullptr;
      for (const Move& move : moves)
        if (options_.budget.excess(move.price) <= 0 && (best == nullptr || move.loss > best->loss))
          best = &move;
      if (best == nullptr || !(best->loss > 0)) return;
      const ChannelChoice before = state_;
      take(*best);
      if (options_.budget.excess(state_.price) > 0) {
        state_ = before;
        return;
      }
    }
  }

  const Graph& graph_;
  const Channels& channels_;
  std::span<const RemovalCurve> curves_;
  const PriceOf& price_of_;
  const ChoiceOptions& options_;
  std::vector<std::vector<std::size_t>> sizes_, neighbours_;
  std::map<std::vector<std::size_t>, Price> known_;
  ChannelChoice state_;
};

}  // namespace

double Budget::excess(const Price& price) const {
  return beyond(milliseconds, price.milliseconds) + beyond(file_bytes, price.file_bytes) +
         beyond(ram_bytes, price.ram_bytes);
}

std::vector<bool> kept_classes(const Channels& channels, std::span<const RemovalCurve> curves,
                               std::span<const std::size_t> gone) {
  std::vector<bool> kept(channels.class_count(), true);
  for (std::size_t g = 0; g < gone.size(); ++g)
    for (std::size_t i = 0; i < gone[g]; ++i)
      kept[static_cast<std::size_t>(curves[g].order[i])] = false;
  return kept;
}

ChannelChoice choose_channels(const Graph& graph, const Channels& channels,
                              std::span<const RemovalCurve> curves, const PriceOf& price_of,
                              const ChoiceOptions& options) {
  return ChannelChooser(graph, channels, curves, price_of, options).run();
}

}  // namespace espquant::compress
