#include "calib/recurrent_follower.h"

#include "ops/recurrent.h"

namespace espquant::calib {

RecurrentFollower::RecurrentFollower(const Graph& graph) : graph_(graph) {
  for (const NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!ops::is_recurrent(n)) continue;
    reach_[id];
    for (const ValueId v : n.inputs)
      if (v != kNone && !graph.value(v).is_constant()) inputs_.insert(v);
  }
}

void RecurrentFollower::see(const ops::Executor::View& view) {
  if (reach_.empty()) return;
  if (const NodeId producer = graph_.value(view.value).producer;
      producer != kNone && reach_.contains(producer) && seen_.insert(producer).second)
    look_into(producer);
  if (inputs_.contains(view.value)) held_[view.value] = view.to_tensor();
}

void RecurrentFollower::look_into(NodeId id) {
  const Node& n = graph_.node(id);
  std::vector<const Tensor*> inputs;
  for (const ValueId v : n.inputs) {
    if (v == kNone)
      inputs.push_back(nullptr);
    else if (graph_.value(v).is_constant())
      inputs.push_back(&graph_.value(v).constant);
    else
      inputs.push_back(&held_.at(v));
  }
  reach_.at(id).include(ops::recurrent_reach(n, graph_.opset, inputs));
}

}  // namespace espquant::calib
