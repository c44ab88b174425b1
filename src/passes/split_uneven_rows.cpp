#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "ops/shown.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// A last layer whose channels are of very different sizes, boxes of a hundred pixels beside scores
/// of one: one exponent for its weights and one for its results would lose the small ones. It is
/// split into layers of channels of like size, which Concat joins. The same where a last Mul gives
/// channels such sizes.
namespace espquant::passes {
namespace {

/// Channels sorted by size fall into groups where one is so many times as large as the next, if the
/// first of a group is so many times as large as that of the next.
constexpr double kGap = 8, kApart = 32;
constexpr std::size_t kMostGroups = 4;

using Positions = std::vector<std::int64_t>;

/// What is to be split: a result along `axis`, a layer's weights along `weight_axis`, by the sizes
/// of what makes each index.
struct Rows {
  std::int64_t axis = 0, weight_axis = 0;
  std::vector<double> sizes;
};

/// Adds the squares at each index of an axis; `squares` may be empty.
void add_squares(const Tensor& t, std::int64_t axis, std::vector<double>& squares) {
  const Shape& shape = t.shape();
  std::int64_t inner = 1;
  for (std::size_t i = static_cast<std::size_t>(axis) + 1; i < shape.size(); ++i) inner *= shape[i];
  const auto extent = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  squares.resize(extent, 0.0);
  const auto values = t.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    squares[i / static_cast<std::size_t>(inner) % extent] +=
        static_cast<double>(values[i]) * values[i];
}

const Tensor* finite_constant(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  return t != nullptr && t->dtype() == DType::Float32 && is_finite(*t) ? t : nullptr;
}

std::optional<Rows> rows_of_layer(const Graph& graph, const Node& node) {
  const bool conv = node.op == "Conv" && node.attributes.get_int("group", 1) == 1;
  const Tensor* weights = finite_constant(graph, node.input(1));
  if ((!conv && node.op != "Gemm" && node.op != "MatMul") || weights == nullptr ||
      (!conv && weights->rank() != 2) || node.attributes.get_int("transB", 0) != 0)
    return std::nullopt;
  Rows rows{conv ? 1 : rank_of(graph, node.outputs[0]) - 1, conv ? 0 : 1, {}};
  if (rows.axis < 1) return std::nullopt;
  add_squares(*weights, rows.weight_axis, rows.sizes);
  if (node.input(2) != kNone) {
    const Tensor* bias = finite_constant(graph, node.input(2));
    if (bias == nullptr || bias->rank() != 1 ||
        bias->size() != static_cast<std::int64_t>(rows.sizes.size()))
      return std::nullopt;
    add_squares(*bias, 0, rows.sizes);
  }
  for (double& s : rows.sizes) s = std::sqrt(s);
  return rows;
}

std::optional<Rows> rows_of_product(const Graph& graph, const Node& node) {
  const auto operands = split_constant(graph, node);
  if (node.op != "Mul" || !operands || finite_constant(graph, operands->constant) == nullptr)
    return std::nullopt;
  const Shape& shape = shape_of(graph, node.outputs[0]);
  if (shape_of(graph, operands->data) != shape) return std::nullopt;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    const auto factors = per_channel_constant(graph, operands->constant, shape, axis);
    if (!factors || factors->size() < 2) continue;
    Rows rows{static_cast<std::int64_t>(axis), 0, {}};
    for (float f : *factors) rows.sizes.push_back(std::abs(f));
    return rows;
  }
  return std::nullopt;
}

/// Ascending within each; one where all are of like size. What is nothing counts to the largest.
std::vector<Positions> groups_of(const std::vector<double>& sizes) {
  Positions sorted(sizes.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  const auto size = [&](std::int64_t i) { return sizes[static_cast<std::size_t>(i)]; };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](std::int64_t a, std::int64_t b) { return size(a) > size(b); });
  std::vector<Positions> groups;
  double before = 0, first = 0;
  for (std::int64_t i : sorted) {
    if (groups.empty() || (size(i) > 0 && before >= kGap * size(i) && first >= kApart * size(i))) {
      groups.emplace_back();
      first = size(i);
    }
    before = size(i);
    groups[size(i) > 0 ? groups.size() - 1 : 0].push_back(i);
  }
  for (Positions& group : groups) std::sort(group.begin(), group.end());
  return groups;
}

ValueId part_of_layer(Graph& graph, const Node& node, const Rows& rows, const Positions& group) {
  std::vector<ValueId> inputs{
      node.inputs[0],
      insert_gather(graph, node.name + "_weights", node.inputs[1], rows.weight_axis, group)};
  if (node.input(2) != kNone)
    inputs.push_back(insert_gather(graph, node.name + "_bias", node.inputs[2], 0, group));
  Shape shape = shape_of(graph, node.outputs[0]);
  shape[static_cast<std::size_t>(rows.axis)] = static_cast<std::int64_t>(group.size());
  return insert_node(graph, node.op, node.name, std::move(inputs), DType::Float32, std::move(shape),
                     node.attributes);
}

ValueId part_of_product(Graph& graph, const Node& node, const Rows& rows, const Positions& group) {
  const SplitOperand operands = *split_constant(graph, node);
  const ValueId data = insert_gather(graph, node.name + "_chosen", operands.data, rows.axis, group);
  const std::vector<float> all =
      *per_channel_constant(graph, operands.constant, shape_of(graph, node.outputs[0]),
                            static_cast<std::size_t>(rows.axis));
  Shape shape(static_cast<std::size_t>(rank_of(graph, data)), 1);
  shape[static_cast<std::size_t>(rows.axis)] = static_cast<std::int64_t>(group.size());
  std::vector<float> factors;
  for (std::int64_t i : group) factors.push_back(all[static_cast<std::size_t>(i)]);
  const ValueId constant = add_constant(graph, node.name + "_factors",
                                        Tensor::of<float>(shape, std::span<const float>(factors)));
  const Shape out = shape_of(graph, data);
  return insert_node(graph, "Mul", node.name, {data, constant}, DType::Float32, out);
}

bool split_rows(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.outputs.size() != 1 || graph.value(node.outputs[0]).dtype != DType::Float32 ||
      !ops::is_only_shown(graph, node.outputs[0]))
    return false;
  const std::optional<Rows> layer = rows_of_layer(graph, node);
  const std::optional<Rows> rows = layer ? layer : rows_of_product(graph, node);
  if (!rows) return false;
  const std::vector<Positions> groups = groups_of(rows->sizes);
  if (groups.size() < 2 || groups.size() > kMostGroups) return false;
  std::vector<ValueId> parts;
  Positions order;
  for (const Positions& group : groups) {
    parts.push_back(layer ? part_of_layer(graph, node, *rows, group)
                          : part_of_product(graph, node, *rows, group));
    order.insert(order.end(), group.begin(), group.end());
  }
  const ValueId joined = insert_concat(graph, node.name + "_joined", parts, rows->axis);
  take_over(
      graph, id,
      insert_gather(graph, node.name + "_order", joined, rows->axis, inverse_positions(order)));
  return true;
}

}  // namespace

std::int64_t split_uneven_rows(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return split_rows(graph, id); });
}

}  // namespace espquant::passes
