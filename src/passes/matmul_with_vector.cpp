#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// MatMul by or of a constant with operands of one dimension: the vector becomes a matrix of one
/// column or one row, so that a constant is a layer's weights. The chip multiplies activations by
/// vectors as they are (ESP-DL 3.5); only a product of two, which would have no axes, it cannot.
namespace espquant::passes {
namespace {

bool rewrite_vector(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "MatMul" || node.inputs.size() != 2) return false;
  ValueId a = node.inputs[0], b = node.inputs[1];
  const bool row = rank_of(graph, a) == 1, column = rank_of(graph, b) == 1;
  if (!row && !column) return false;
  const auto is_weights = [&](ValueId v) { return graph.value(v).is_constant(); };
  if (!(row && column) && !is_weights(a) && (!is_weights(b) || rank_of(graph, b) > 2)) return false;
  Shape shape = shape_of(graph, node.outputs[0]);
  if (row) {
    a = insert_reshape(graph, node.name + "_row", a, {1, shape_of(graph, a)[0]});
    shape.insert(shape.end() - (column ? 0 : 1), 1);
  }
  if (column) {
    b = insert_reshape(graph, node.name + "_column", b, {shape_of(graph, b)[0], 1});
    shape.push_back(1);
  }
  const ValueId product =
      insert_node(graph, "MatMul", node.name + "_product", {a, b}, graph.value(a).dtype, shape);
  const ValueId target = add_ints(graph, node.name + "_shape", shape_of(graph, node.outputs[0]));
  become(graph, id, "Reshape", {product, target});
  return true;
}

}  // namespace

std::int64_t matmul_with_vector(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_vector(graph, id); });
}

}  // namespace espquant::passes
