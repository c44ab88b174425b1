#include <optional>

#include "passes/passes.h"
#include "passes/rewrite.h"

/// x > 0 ? x : x * slope, as a Where: LeakyRelu, PRelu, or Relu.
namespace espquant::passes {
namespace {

/// The value whose sign a condition looks at; `positive`: it holds where that is above zero. At
/// zero itself both sides are zero.
struct SignTest {
  ValueId x = kNone;
  bool positive = true;
};

std::optional<SignTest> sign_test(const Graph& graph, ValueId condition) {
  const NodeId id = graph.value(condition).producer;
  if (id == kNone) return std::nullopt;
  const Node& n = graph.node(id);
  const bool greater = n.op == "Greater" || n.op == "GreaterOrEqual";
  if (!greater && n.op != "Less" && n.op != "LessOrEqual") return std::nullopt;
  if (scalar_of(graph, n.input(1)) == 0.F) return SignTest{n.inputs[0], greater};
  if (scalar_of(graph, n.input(0)) == 0.F) return SignTest{n.inputs[1], !greater};
  return std::nullopt;
}

/// c of v = x * c: a constant that is kNone for 1.
std::optional<ValueId> factor_of(Graph& graph, ValueId v, ValueId x) {
  if (v == x) return kNone;
  if (scalar_of(graph, v) == 0.F) return v;
  if (const NodeId product = producer(graph, v, "Mul"); product != kNone) {
    const auto operands = split_constant(graph, graph.node(product));
    if (operands && operands->data == x && is_finite(*constant_of(graph, operands->constant)))
      return operands->constant;
  }
  if (const NodeId negation = producer(graph, v, "Neg");
      negation != kNone && graph.node(negation).inputs[0] == x)
    return add_constant(graph, graph.node(negation).name + "_factor", Tensor::scalar(-1.F));
  return std::nullopt;
}

bool rewrite_by_sign(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "Where") return false;
  const auto test = sign_test(graph, node.inputs.at(0));
  if (!test || graph.value(test->x).dtype != DType::Float32) return false;
  const Shape& shape = shape_of(graph, test->x);
  if (shape_of(graph, node.outputs[0]) != shape) return false;
  const auto above = factor_of(graph, node.inputs[test->positive ? 1 : 2], test->x),
             below = factor_of(graph, node.inputs[test->positive ? 2 : 1], test->x);
  if (!above || *above != kNone || !below) return false;
  if (*below == kNone) {
    become(graph, id, "Identity", {test->x});
  } else if (const auto slope = scalar_of(graph, *below)) {
    Attributes attributes;
    if (*slope != 0) attributes.set("alpha", *slope);
    become(graph, id, *slope == 0 ? "Relu" : "LeakyRelu", {test->x}, std::move(attributes));
  } else {
    // PRelu broadcasts its slopes to x, never the other way.
    if (broadcast(shape, shape_of(graph, *below)) != shape) return false;
    become(graph, id, "PRelu", {test->x, *below});
  }
  return true;
}

}  // namespace

std::int64_t where_by_sign(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_by_sign(graph, id); });
}

}  // namespace espquant::passes
