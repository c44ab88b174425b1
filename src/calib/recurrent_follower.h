#pragma once

#include <map>
#include <set>

#include "ops/executor.h"
#include "ops/recurrent.h"

namespace espquant::calib {

/// Watches runs of a network for what goes on inside its LSTM and GRU layers: gates are added up,
/// and cells kept, in a range of their own on the chip (ESP-DL 3.19), of which no tensor tells.
class RecurrentFollower {
 public:
  explicit RecurrentFollower(const Graph& graph);

  void begin_sample() { seen_.clear(); }
  /// To be told every activation of a run, producers first.
  void see(const ops::Executor::View& view);

  /// By recurrent layer, over all samples so far.
  const std::map<NodeId, ops::RecurrentReach>& reach() const { return reach_; }

 private:
  void look_into(NodeId id);

  const Graph& graph_;
  /// Activations that recurrent layers read, and what they are in this sample.
  std::set<ValueId> inputs_;
  std::map<ValueId, Tensor> held_;
  /// Layers that have run in this sample.
  std::set<NodeId> seen_;
  std::map<NodeId, ops::RecurrentReach> reach_;
};

}  // namespace espquant::calib
