#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// MatMul by a batch of one constant matrix: by that matrix, whose weights are fitted as a layer's.
namespace espquant::passes {
namespace {

bool rewrite_batched_matmul(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "MatMul" || node.inputs.size() != 2) return false;
  const ValueId x = node.inputs[0];
  const Tensor* constant = constant_of(graph, node.inputs[1]);
  if (constant == nullptr || constant->dtype() != DType::Float32 || constant->rank() < 3 ||
      constant_of(graph, x) != nullptr || rank_of(graph, x) < 2 || constant->size() == 0)
    return false;
  const Shape matrix(constant->shape().end() - 2, constant->shape().end());
  if (constant->size() != element_count(matrix)) return false;
  const ValueId weights = add_constant(graph, node.name + "_weights", constant->reshaped(matrix));
  const Shape own = shape_of(graph, x);
  Shape whole = shape_of(graph, node.outputs[0]);
  std::copy(own.end() - 2, own.end(), whole.end() - 2);
  const ValueId rows = own == whole ? x : insert_reshape(graph, node.name + "_rows", x, whole);
  become(graph, id, "MatMul", {rows, weights});
  return true;
}

}  // namespace

std::int64_t matmul_of_batch(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_batched_matmul(graph, id); });
}

}  // namespace espquant::passes
