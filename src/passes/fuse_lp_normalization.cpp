#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// A floor under the norm that only keeps zero vectors from dividing by zero: ESP-DL gives zero for
/// them.
constexpr float kLargestFloor = 1e-5F;

/// The norm beneath a Clip from below, and an Expand to x's shape.
ValueId bare_norm(const Graph& graph, ValueId v) {
  if (const NodeId expand = producer(graph, v, "Expand"); expand != kNone)
    v = graph.node(expand).inputs[0];
  if (const NodeId clip = producer(graph, v, "Clip"); clip != kNone) {
    const Node& node = graph.node(clip);
    const auto low = scalar_of(graph, node.input(1));
    if (!low || *low < 0 || *low > kLargestFloor || node.input(2) != kNone) return kNone;
    v = node.inputs[0];
  }
  return v;
}

bool fuse_one_lp_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Div" || node.inputs.size() != 2) return false;
  const ValueId x = node.inputs[0], norm = bare_norm(graph, node.inputs[1]);
  NodeId reduce = producer(graph, norm, "ReduceL2");
  if (reduce == kNone) reduce = producer(graph, norm, "ReduceL1");
  if (reduce == kNone || graph.node(reduce).inputs[0] != x || !is_private(graph, id, x))
    return false;
  const auto axes = ints_of(graph, graph.node(reduce).input(1));
  if (!axes || axes->size() != 1 || graph.node(reduce).attributes.get_int("keepdims", 1) == 0)
    return false;
  Attributes attributes;
  attributes.set("axis", axes->front());
  attributes.set("p", std::int64_t{graph.node(reduce).op == "ReduceL2" ? 2 : 1});
  become(graph, id, "LpNormalization", {x}, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t fuse_lp_normalization(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fuse_one_lp_normalization(graph, id); });
}

}  // namespace espquant::passes
