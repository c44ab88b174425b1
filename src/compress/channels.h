#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace espquant::compress {

/// Which channels of a network go together.
///
/// The channels of a value are the indices of one of its axes, and belong to classes: of one class
/// are all channels, of whatever values, that only go together, since an Add adds them, a depthwise
/// filter makes the one of the other, a Concat passes them on or a Flatten spreads one over many
/// indices. What an operator does with channels that is not known here pins them: they stay.
class Channels {
 public:
  using Class = std::int32_t;

  /// `graph`: simplified, with the shapes of all values.
  explicit Channels(const Graph& graph);

  /// The axis of its channels, -1 where it has none that could go.
  int axis_of(ValueId v) const { return axes_[static_cast<std::size_t>(v)].axis; }
  /// Of each index of that axis its class.
  std::span<const Class> classes_of(ValueId v) const {
    return axes_[static_cast<std::size_t>(v)].classes;
  }
  std::size_t class_count() const { return pinned_.size(); }
  bool is_pinned(Class c) const { return pinned_[static_cast<std::size_t>(c)]; }

  /// Classes that stand in the same values, none of them pinned: any number of them may go. Groups
  /// and classes in the order in which the network makes them.
  struct Group {
    std::vector<Class> classes;
    std::vector<ValueId> values;
    /// Weighted layers that make these channels, and those that multiply them by weights.
    std::vector<NodeId> writers, readers;
  };
  std::span<const Group> groups() const { return groups_; }

 private:
  friend class ChannelFlow;

  struct Axis {
    int axis = -1;
    std::vector<Class> classes;
  };
  void find_groups(const Graph& graph);

  std::vector<Axis> axes_;
  std::vector<bool> pinned_;
  std::vector<Group> groups_;
};

/// The network without the classes that `kept` does not mark; nodes and values keep their ids.
/// Every value must keep a channel: throws Error(Internal) otherwise.
Graph without_channels(const Graph& graph, const Channels& channels, const std::vector<bool>& kept);

/// Of a filter or matrix of weights, where the channels of a layer's input and output stand.
struct WeightAxes {
  int input = 1, output = 0;
};
/// Throws Error(Internal) for a node that is not weighted.
WeightAxes weight_axes(const Graph& graph, const Node& n);

/// A Conv each of whose filters sees one channel.
bool is_depthwise(const Graph& graph, const Node& n);

/// Conv, Gemm and MatMul with constant weights.
bool has_weights(const Graph& graph, const Node& n);

}  // namespace espquant::compress
