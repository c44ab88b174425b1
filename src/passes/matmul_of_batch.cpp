#include <fmt/format.h>

#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// MatMul by a constant of more than two dimensions: the chip's filters are one matrix each.
namespace espquant::passes {
namespace {

/// Each entry of a batch takes nodes of its own.
constexpr std::int64_t kMostMatrices = 64;

Tensor matrix_of(const Tensor& all, std::int64_t index) {
  const Shape shape(all.shape().end() - 2, all.shape().end());
  Tensor one(all.dtype(), shape);
  const std::size_t size = one.byte_size();
  std::ranges::copy(all.bytes().subspan(static_cast<std::size_t>(index) * size, size),
                    one.mutable_bytes().begin());
  return one;
}

Shape batch_of(const Shape& shape) {
  return shape.size() <= 2 ? Shape() : Shape(shape.begin(), shape.end() - 2);
}

/// `v`, broadcast to the batch, as (matrices, rows, columns).
ValueId as_stack(Graph& graph, const std::string& name, ValueId v, const Shape& batch) {
  const Shape shape = shape_of(graph, v);
  Shape whole = batch;
  whole.insert(whole.end(), shape.end() - 2, shape.end());
  if (shape != whole) v = insert_expand(graph, name + "_batch", v, whole);
  return insert_reshape(graph, name + "_stack", v,
                        {element_count(batch), whole[whole.size() - 2], whole.back()});
}

bool rewrite_batched_matmul(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "MatMul" || node.inputs.size() != 2) return false;
  const ValueId x = node.inputs[0];
  const Tensor* constant = constant_of(graph, node.inputs[1]);
  if (constant == nullptr || constant->dtype() != DType::Float32 || constant->rank() < 3 ||
      constant_of(graph, x) != nullptr || rank_of(graph, x) < 2 || constant->size() == 0)
    return false;
  const Tensor weights = *constant;
  const Shape out = shape_of(graph, node.outputs[0]), batch = batch_of(out);
  const std::int64_t matrices = element_count(batch_of(weights.shape()));
  const auto one = [&](std::int64_t i, const std::string& suffix) {
    return add_constant(graph, node.name + "_weights" + suffix, matrix_of(weights, i));
  };
  if (matrices == 1) {
    const ValueId data = insert_reshape(graph, node.name + "_rows", x, [&] {
      Shape shape = batch;
      const Shape& own = shape_of(graph, x);
      shape.insert(shape.end(), own.end() - 2, own.end());
      return shape;
    }());
    become(graph, id, "MatMul", {data, one(0, "")});
    return true;
  }
  // Weights that are broadcast themselves would have to be taken several times.
  if (matrices > kMostMatrices || batch_of(weights.shape()).size() > batch.size() ||
      element_count(batch) != matrices)
    return false;
  const ValueId stack = as_stack(graph, node.name, x, batch);
  const Shape shape = shape_of(graph, stack);
  std::vector<ValueId> products;
  for (std::int64_t i = 0; i < matrices; ++i) {
    const std::string suffix = fmt::format("_{}", i);
    const ValueId rows = insert_slice(graph, node.name + "_entry" + suffix, stack, {i, 0, 0},
                                      {i + 1, shape[1], shape[2]});
    products.push_back(insert_node(graph, "MatMul", node.name + "_product" + suffix,
                                   {rows, one(i, suffix)}, DType::Float32,
                                   {1, shape[1], out.back()}));
  }
  const ValueId joined = insert_concat(graph, node.name + "_joined", products, 0);
  become(graph, id, "Reshape", {joined, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t matmul_of_batch(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_batched_matmul(graph, id); });
}

}  // namespace espquant::passes
