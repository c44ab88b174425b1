#include "passes/normalization_pattern.h"

#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x, where v = x^2; kNone else.
ValueId square_root(const Graph& graph, ValueId v) {
  if (const NodeId pow = producer(graph, v, "Pow"); pow != kNone)
    return is_scalar_near(graph, graph.node(pow).input(1), 2) ? graph.node(pow).inputs[0] : kNone;
  const NodeId mul = producer(graph, v, "Mul");
  if (mul == kNone) return kNone;
  const Node& node = graph.node(mul);
  return node.inputs.size() == 2 && node.inputs[0] == node.inputs[1] ? node.inputs[0] : kNone;
}

/// r, where v = 1 / r; kNone else.
ValueId inverse_of(const Graph& graph, ValueId v) {
  if (const NodeId id = producer(graph, v, "Reciprocal"); id != kNone)
    return graph.node(id).inputs[0];
  const NodeId div = producer(graph, v, "Div");
  return div != kNone && is_scalar_near(graph, graph.node(div).input(0), 1)
             ? graph.node(div).inputs[1]
             : kNone;
}

}  // namespace

RootMeanSquare root_mean_square_of(const Graph& graph, ValueId v) {
  const NodeId root = producer(graph, v, "Sqrt");
  if (root == kNone) return {};
  ValueId mean = graph.node(root).inputs[0];
  RootMeanSquare result;
  if (const NodeId add = producer(graph, mean, "Add"); add != kNone) {
    const auto operands = split_constant(graph, graph.node(add));
    const auto epsilon = operands ? scalar_of(graph, operands->constant) : std::nullopt;
    if (!epsilon || *epsilon < 0) return {};
    result.epsilon = *epsilon;
    mean = operands->data;
  }
  const NodeId reduce = producer(graph, mean, "ReduceMean");
  result.axes = trailing_reduction(graph, reduce);
  if (result.axes == 0) return {};
  result.x = square_root(graph, graph.node(reduce).inputs[0]);
  return result;
}

RootMeanSquare normalized_by_rms(const Graph& graph, ValueId v) {
  if (v == kNone || graph.value(v).producer == kNone) return {};
  const Node& node = graph.node(graph.value(v).producer);
  if (node.op == "Div" && node.inputs.size() == 2) {
    const RootMeanSquare rms = root_mean_square_of(graph, node.inputs[1]);
    if (rms.x == node.inputs[0]) return rms;
  }
  if (node.op == "Mul" && node.inputs.size() == 2) {
    for (ValueId factor : node.inputs) {
      const RootMeanSquare rms = root_mean_square_of(graph, inverse_of(graph, factor));
      if (rms.x != kNone && rms.x == other_input(node, factor)) return rms;
    }
  }
  return {};
}

Shape trailing_shape(const Graph& graph, ValueId x, std::int64_t axes) {
  const Shape& shape = shape_of(graph, x);
  return Shape(shape.end() - axes, shape.end());
}

}  // namespace espquant::passes
