#include <algorithm>
#include <array>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// Operators that give the same elements another shape.
bool only_reshapes(const Node& node) {
  constexpr std::array kOps = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
  return std::find(kOps.begin(), kOps.end(), node.op) != kOps.end();
}

bool merge_reshape(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!only_reshapes(node)) return false;
  const NodeId before = graph.value(node.inputs[0]).producer;
  if (before == kNone || !only_reshapes(graph.node(before))) return false;
  const ValueId source = graph.node(before).inputs[0];
  const Shape shape = shape_of(graph, node.outputs[0]);
  // A 0 in Reshape's shape would mean "as in the input".
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return false;
  const ValueId target = add_ints(graph, node.name + "_shape", shape);
  become(graph, id, "Reshape", {source, target});
  return true;
}

}  // namespace

std::int64_t merge_reshapes(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_reshape(graph, id); });
}

}  // namespace espquant::passes
