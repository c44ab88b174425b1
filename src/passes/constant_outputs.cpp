#include "passes/constant_outputs.h"

#include <algorithm>

#include "ops/op.h"

namespace espquant::passes {

std::vector<std::string> drop_constant_outputs(Graph& graph) {
  std::vector<bool> depends(graph.value_count(), false);
  const auto is_set = [&](ValueId v) { return v != kNone && depends[static_cast<std::size_t>(v)]; };
  for (const ValueId v : graph.inputs()) depends[static_cast<std::size_t>(v)] = true;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    const ops::OpDef* op = ops::find_op(node.op);
    const bool by_shape_only = op != nullptr && op->shape_only;
    if (by_shape_only || std::none_of(node.inputs.begin(), node.inputs.end(), is_set)) continue;
    for (const ValueId v : node.outputs)
      if (v != kNone) depends[static_cast<std::size_t>(v)] = true;
  }
  std::vector<ValueId> kept;
  std::vector<std::string> dropped;
  for (const ValueId v : graph.outputs()) {
    if (is_set(v))
      kept.push_back(v);
    else
      dropped.push_back(graph.value(v).name);
  }
  if (kept.empty() || dropped.empty()) return {};
  graph.set_outputs(std::move(kept));
  graph.remove_dead();
  return dropped;
}

}  // namespace espquant::passes
