#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x, where v = -x; kNone else.
ValueId negated(const Graph& graph, ValueId v) {
  const NodeId neg = producer(graph, v, "Neg");
  return neg != kNone ? graph.node(neg).inputs[0] : unscaled(graph, v, -1);
}

/// x, where v = 1 + exp(-x); kNone else.
ValueId logistic_denominator(const Graph& graph, ValueId v) {
  const NodeId add = producer(graph, v, "Add");
  const auto operands = add == kNone ? std::nullopt : split_constant(graph, graph.node(add));
  if (!operands || !is_scalar_near(graph, operands->constant, 1)) return kNone;
  const NodeId exp = producer(graph, operands->data, "Exp");
  return exp == kNone ? kNone : negated(graph, graph.node(exp).inputs[0]);
}

bool fuse_one_sigmoid(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  ValueId x = kNone;
  if (node.op == "Reciprocal")
    x = logistic_denominator(graph, node.inputs[0]);
  else if (node.op == "Div" && is_scalar_near(graph, node.input(0), 1))
    x = logistic_denominator(graph, node.inputs[1]);
  if (x == kNone || !is_private(graph, id, x)) return false;
  become(graph, id, "Sigmoid", {x});
  return true;
}

bool fuse_one_swish(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op == "Div" && node.inputs.size() == 2) {
    const ValueId x = logistic_denominator(graph, node.inputs[1]);
    if (x == kNone || x != node.inputs[0] || !is_private(graph, id, x)) return false;
    become(graph, id, "Swish", {x}, {}, kEspdlDomain);
    return true;
  }
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
  std::int64_t changes =
      for_each_node(graph, [&](NodeId id) { return fuse_one_sigmoid(graph, id); });
  changes += for_each_node(graph, [&](NodeId id) { return fuse_one_swish(graph, id); });
  return changes;
}

}  // namespace espquant::passes
