#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Max and Min of two activations, which ESP-DL has not (ESP-DL 3.15). Operands of one shape are
/// put side by side and reduced, which rounds nothing; others by a + Relu(b - a).
namespace espquant::passes {
namespace {

/// The first axis of extent 1; -1 where there is none.
std::int64_t free_axis(const Shape& shape) {
  const auto it = std::find(shape.begin(), shape.end(), 1);
  return it == shape.end() ? -1 : it - shape.begin();
}

void reduce_side_by_side(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Shape shape = shape_of(graph, node.outputs[0]);
  std::int64_t axis = free_axis(shape);
  std::vector<ValueId> parts = node.inputs;
  if (axis < 0) {
    axis = 0;
    Shape longer = shape;
    longer.insert(longer.begin(), 1);
    for (ValueId& part : parts) part = insert_reshape(graph, node.name + "_part", part, longer);
  }
  const ValueId both = insert_concat(graph, node.name + "_both", parts, axis);
  const ValueId axes = add_ints(graph, node.name + "_axis", {axis});
  Attributes attributes;
  attributes.set("keepdims", std::int64_t{shape_of(graph, both).size() == shape.size() ? 1 : 0});
  become(graph, id, node.op == "Max" ? "ReduceMax" : "ReduceMin", {both, axes},
         std::move(attributes));
}

void by_difference(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Shape shape = shape_of(graph, node.outputs[0]);
  const bool first_is_whole = shape_of(graph, node.inputs[0]) == shape;
  const ValueId a = node.inputs[first_is_whole ? 0 : 1], b = node.inputs[first_is_whole ? 1 : 0];
  const bool max = node.op == "Max";
  const ValueId difference = insert_node(
      graph, "Sub", node.name + "_difference",
      max ? std::vector<ValueId>{b, a} : std::vector<ValueId>{a, b}, DType::Float32, shape);
  const ValueId excess =
      insert_node(graph, "Relu", node.name + "_excess", {difference}, DType::Float32, shape);
  become(graph, id, max ? "Add" : "Sub", {a, excess});
}

bool rewrite_extreme(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if ((node.op != "Max" && node.op != "Min") || node.inputs.size() != 2) return false;
  const Value &a = graph.value(node.inputs[0]), &b = graph.value(node.inputs[1]);
  if (a.dtype != DType::Float32 || (a.is_constant() && b.is_constant())) return false;
  // A bound for all elements is a Clip's affair.
  if (scalar_of(graph, node.inputs[0]) || scalar_of(graph, node.inputs[1])) return false;
  const Shape& shape = shape_of(graph, node.outputs[0]);
  if (!a.is_constant() && !b.is_constant() && a.shape == shape && b.shape == shape)
    reduce_side_by_side(graph, id);
  else
    by_difference(graph, id);
  return true;
}

}  // namespace

std::int64_t reduce_extremes(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_extreme(graph, id); });
}

}  // namespace espquant::passes
