#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

bool fuse_one_swish(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Mul") return false;
  for (ValueId gate : node.inputs) {
    const NodeId sigmoid = producer(graph, gate, "Sigmoid");
    if (sigmoid == kNone || only_reader(graph, gate) != id) continue;
    const ValueId x = graph.node(sigmoid).inputs[0];
    if (other_input(node, gate) != x) continue;
    become(graph, id, "Swish", {x}, {}, kEspdlDomain);
    return true;
  }
  return false;
}

}  // namespace

std::int64_t fuse_swish(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fuse_one_swish(graph, id); });
}

}  // namespace espquant::passes
