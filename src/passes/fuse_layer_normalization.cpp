#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x and the number of axes, where v = x - mean(x) over its last axes.
RootMeanSquare centred(const Graph& graph, ValueId v) {
  const NodeId sub = producer(graph, v, "Sub");
  if (sub == kNone) return {};
  const Node& node = graph.node(sub);
  const NodeId mean = producer(graph, node.inputs.at(1), "ReduceMean");
  const std::int64_t axes = trailing_reduction(graph, mean);
  if (axes == 0 || graph.node(mean).inputs[0] != node.inputs[0]) return {};
  return {node.inputs[0], axes, 0};
}

/// (x - mean) / sqrt(mean((x - mean)^2) + epsilon). Exporters write x - mean once or twice.
RootMeanSquare standardized(const Graph& graph, ValueId v) {
  const NodeId div = producer(graph, v, "Div");
  if (div == kNone) return {};
  const RootMeanSquare deviation = root_mean_square_of(graph, graph.node(div).inputs.at(1));
  if (deviation.x == kNone) return {};
  const RootMeanSquare above = centred(graph, graph.node(div).inputs[0]),
                       below = centred(graph, deviation.x);
  if (above.x == kNone || above.x != below.x || above.axes != deviation.axes ||
      below.axes != deviation.axes)
    return {};
  return {above.x, deviation.axes, deviation.epsilon};
}

struct Normalization {
  RootMeanSquare core;
  ValueId scale = kNone, bias = kNone;
};

/// standardized(x) [* scale] [+ bias], from the outermost node inwards.
Normalization normalization_of(const Graph& graph, NodeId id) {
  Normalization result;
  ValueId v = graph.node(id).outputs.at(0);
  if (const NodeId add = producer(graph, v, "Add"); add != kNone) {
    const auto operands = split_constant(graph, graph.node(add));
    if (!operands) return {};
    result.bias = operands->constant;
    v = operands->data;
  }
  if (const NodeId mul = producer(graph, v, "Mul"); mul != kNone) {
    const auto operands = split_constant(graph, graph.node(mul));
    if (!operands) return {};
    result.scale = operands->constant;
    v = operands->data;
  }
  result.core = standardized(graph, v);
  return result;
}

bool fuse_one_layer_normalization(Graph& graph, NodeId id) {
  const Normalization found = normalization_of(graph, id);
  if (found.core.x == kNone || !is_private(graph, id, found.core.x)) return false;
  const Shape shape = trailing_shape(graph, found.core.x, found.core.axes);
  auto scale = found.scale == kNone ? std::nullopt : parameter_of_shape(graph, found.scale, shape);
  auto bias = found.bias == kNone ? std::nullopt : parameter_of_shape(graph, found.bias, shape);
  if ((found.scale != kNone && !scale) || (found.bias != kNone && !bias)) return false;
  if (!scale) {
    scale = Tensor(DType::Float32, shape);
    for (float& v : scale->mutable_data<float>()) v = 1;
  }
  const std::string name = graph.node(id).name;
  std::vector<ValueId> inputs = {found.core.x,
                                 add_constant(graph, name + "_scale", *std::move(scale))};
  if (bias) inputs.push_back(add_constant(graph, name + "_bias", *std::move(bias)));
  Attributes attributes;
  attributes.set("axis", -found.core.axes);
  attributes.set("epsilon", found.core.epsilon);
  become(graph, id, "LayerNormalization", inputs, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t fuse_layer_normalization(Graph& graph) {
  // Outermost first: the scale and bias belong to the pattern.
  std::int64_t changes = 0;
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    if (fuse_one_layer_normalization(graph, *id)) ++changes;
  return changes;
}

}  // namespace espquant::passes
