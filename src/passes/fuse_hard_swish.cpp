#include <cmath>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x, where v = clip(x + 3, 0, 6) and nothing else reads the parts; kNone else.
ValueId shifted_relu6_input(const Graph& graph, ValueId v) {
  const NodeId clip = producer(graph, v, "Clip");
  if (clip == kNone || scalar_of(graph, graph.node(clip).input(1)) != 0.F ||
      !is_scalar_near(graph, graph.node(clip).input(2), 6))
    return kNone;
  const ValueId shifted = graph.node(clip).inputs[0];
  const NodeId add = producer(graph, shifted, "Add");
  if (add == kNone || only_reader(graph, shifted) != clip) return kNone;
  const auto operands = split_constant(graph, graph.node(add));
  return operands && is_scalar_near(graph, operands->constant, 3) ? operands->data : kNone;
}

/// x, where v = clip(x / 6 + 1/2, 0, 1) in either spelling and `reader` alone reads it; kNone else.
ValueId hard_sigmoid_input(const Graph& graph, ValueId v, NodeId reader) {
  if (v == kNone || only_reader(graph, v) != reader) return kNone;
  const NodeId id = graph.value(v).producer;
  if (id == kNone) return kNone;
  const Node& node = graph.node(id);
  if (node.op == "HardSigmoid") {
    const bool sixth = std::abs(node.attributes.get_float("alpha", 0.2F) - 1.F / 6) < 1e-5F &&
                       node.attributes.get_float("beta", 0.5F) == 0.5F;
    return sixth ? node.inputs[0] : kNone;
  }
  const ValueId clipped = unscaled(graph, graph.node(id).outputs.at(0), 1. / 6);
  return clipped != kNone && only_reader(graph, clipped) == id ? shifted_relu6_input(graph, clipped)
                                                               : kNone;
}

/// x * hard_sigmoid(x).
bool fuse_gate(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Mul") return false;
  for (ValueId gate : node.inputs) {
    const ValueId x = hard_sigmoid_input(graph, gate, id);
    if (x == kNone || other_input(node, gate) != x) continue;
    become(graph, id, "HardSwish", {x});
    return true;
  }
  return false;
}

/// (x * clip(x + 3, 0, 6)) / 6.
bool fuse_late_scale(Graph& graph, NodeId id) {
  const ValueId product = unscaled(graph, graph.node(id).outputs.at(0), 1. / 6);
  const NodeId mul = product != kNone && only_reader(graph, product) == id
                         ? producer(graph, product, "Mul")
                         : kNone;
  if (mul == kNone) return false;
  for (ValueId gate : graph.node(mul).inputs) {
    const ValueId x = only_reader(graph, gate) == mul ? shifted_relu6_input(graph, gate) : kNone;
    if (x == kNone || other_input(graph.node(mul), gate) != x) continue;
    become(graph, id, "HardSwish", {x});
    return true;
  }
  return false;
}

/// clip(x + 3, 0, 6) / 6 alone.
bool fuse_hard_sigmoid(Graph& graph, NodeId id) {
  const ValueId clipped = unscaled(graph, graph.node(id).outputs.at(0), 1. / 6);
  const ValueId x = clipped != kNone && only_reader(graph, clipped) == id
                        ? shifted_relu6_input(graph, clipped)
                        : kNone;
  if (x == kNone) return false;
  Attributes attributes;
  attributes.set("alpha", 1.F / 6);
  attributes.set("beta", 0.5F);
  become(graph, id, "HardSigmoid", {x}, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t fuse_hard_swish(Graph& graph) {
  std::int64_t changes = for_each_node(
      graph, [&](NodeId id) { return fuse_gate(graph, id) || fuse_late_scale(graph, id); });
  // What was fused leaves dead parts behind that would look like hard sigmoids.
  graph.remove_dead();
  changes += for_each_node(graph, [&](NodeId id) { return fuse_hard_sigmoid(graph, id); });
  return changes;
}

}  // namespace espquant::passes
