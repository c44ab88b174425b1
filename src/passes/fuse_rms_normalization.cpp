#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// normalized(x) * scale, or the normalization alone where no constant scale follows.
bool fuse_one_rms_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  RootMeanSquare core = normalized_by_rms(graph, node.outputs.at(0));
  std::optional<Tensor> scale;
  if (core.x == kNone && node.op == "Mul") {
    const auto operands = split_constant(graph, node);
    if (!operands) return false;
    core = normalized_by_rms(graph, operands->data);
    if (core.x == kNone) return false;
    scale = parameter_of_shape(graph, operands->constant, trailing_shape(graph, core.x, core.axes));
    if (!scale) return false;
  }
  if (core.x == kNone || !is_private(graph, id, core.x)) return false;
  if (!scale) {
    scale = Tensor(DType::Float32, trailing_shape(graph, core.x, core.axes));
    for (float& v : scale->mutable_data<float>()) v = 1;
  }
  const ValueId scale_input = add_constant(graph, node.name + "_scale", *std::move(scale));
  Attributes attributes;
  attributes.set("axis", -core.axes);
  attributes.set("epsilon", core.epsilon);
  become(graph, id, "RMSNormalization", {core.x, scale_input}, std::move(attributes), kEspdlDomain);
  return true;
}

}  // namespace

std::int64_t fuse_rms_normalization(Graph& graph) {
  // Outermost first: the scale belongs to the pattern.
  std::int64_t changes = 0;
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    if (fuse_one_rms_normalization(graph, *id)) ++changes;
  return changes;
}

}  // namespace espquant::passes
