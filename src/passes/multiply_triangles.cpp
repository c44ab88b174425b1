#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// What a constant triangle of ones does: Trilu of an activation is its product with one element by
/// element, CumSum along an axis the matrix product.
namespace espquant::passes {
namespace {

/// Weights of a CumSum grow with the square of its steps: 256 KiB at 8 bits.
constexpr std::int64_t kMostSummedSteps = 512;

/// 1 where `chosen(row, column)`, else 0.
template <typename F>
Tensor mask_of(std::int64_t rows, std::int64_t columns, F&& chosen) {
  Tensor mask(DType::Float32, {rows, columns});
  auto to = mask.mutable_data<float>();
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column)
      to[static_cast<std::size_t>(row * columns + column)] = chosen(row, column) ? 1.F : 0.F;
  return mask;
}

std::optional<std::int64_t> int_of(const Graph& graph, ValueId v) {
  const auto ints = ints_of(graph, v);
  return ints && ints->size() == 1 ? std::optional(ints->front()) : std::nullopt;
}

bool rewrite_trilu(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto diagonal =
      node.input(1) == kNone ? std::optional<std::int64_t>(0) : int_of(graph, node.inputs[1]);
  if (!diagonal) return false;
  const Shape& shape = shape_of(graph, node.inputs[0]);
  const bool upper = node.attributes.get_int("upper", 1) != 0;
  const Tensor mask =
      mask_of(shape[shape.size() - 2], shape.back(), [&](std::int64_t row, std::int64_t column) {
        return upper ? column - row >= *diagonal : column - row <= *diagonal;
      });
  become(graph, id, "Mul", {node.inputs[0], add_constant(graph, node.name + "_mask", mask)});
  return true;
}

bool rewrite_cum_sum(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto given = int_of(graph, node.inputs.at(1));
  if (!given) return false;
  const ValueId x = node.inputs[0];
  const std::int64_t rank = rank_of(graph, x), axis = *given < 0 ? *given + rank : *given;
  if (axis < 0 || axis >= rank) return false;
  const std::int64_t steps = shape_of(graph, x)[static_cast<std::size_t>(axis)];
  if (steps == 0 || steps > kMostSummedSteps) return false;
  const bool exclusive = node.attributes.get_int("exclusive", 0) != 0;
  const bool reverse = node.attributes.get_int("reverse", 0) != 0;
  const Tensor triangle = mask_of(steps, steps, [&](std::int64_t summed, std::int64_t at) {
    return (exclusive && summed == at) ? false : reverse ? summed >= at : summed <= at;
  });
  std::vector<std::int64_t> last;
  for (std::int64_t i = 0; i < rank; ++i)
    if (i != axis) last.push_back(i);
  last.push_back(axis);
  ValueId rows = insert_transpose(graph, node.name + "_steps_last", x, last);
  const Shape shape = shape_of(graph, rows);
  // A vector is a matrix of one row.
  if (rank == 1) rows = insert_reshape(graph, node.name + "_row", rows, {1, steps});
  ValueId sums = insert_node(graph, "MatMul", node.name + "_sums",
                             {rows, add_constant(graph, node.name + "_triangle", triangle)},
                             DType::Float32, shape_of(graph, rows));
  if (rank == 1) sums = insert_reshape(graph, node.name + "_vector", sums, shape);
  take_over(graph, id,
            insert_transpose(graph, node.name + "_steps_back", sums, inverse_positions(last)));
  return true;
}

bool rewrite_triangle(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool trilu = node.op == "Trilu";
  if ((!trilu && node.op != "CumSum") || graph.value(node.outputs.at(0)).dtype != DType::Float32 ||
      graph.value(node.inputs[0]).is_constant())
    return false;
  return trilu ? rewrite_trilu(graph, id) : rewrite_cum_sum(graph, id);
}

}  // namespace

std::int64_t multiply_triangles(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_triangle(graph, id); });
}

}  // namespace espquant::passes
