#include "passes/movement.h"

#include <algorithm>

#include "passes/rewrite.h"

namespace espquant::passes {

ValueId insert_reshape(Graph& graph, std::string_view base_name, ValueId v, const Shape& shape) {
  if (shape_of(graph, v) == shape) return v;
  if (const Tensor* known = constant_of(graph, v))
    return add_constant(graph, base_name, known->reshaped(shape));
  const ValueId target = add_ints(graph, std::string(base_name) + "_shape", shape);
  return insert_node(graph, "Reshape", base_name, {v, target}, graph.value(v).dtype, shape);
}

ValueId insert_transpose(Graph& graph, std::string_view base_name, ValueId v,
                         const std::vector<std::int64_t>& perm) {
  if (std::is_sorted(perm.begin(), perm.end())) return v;
  if (const Tensor* known = constant_of(graph, v))
    return add_constant(graph, base_name, known->transposed(perm));
  Shape shape;
  for (const std::int64_t axis : perm)
    shape.push_back(shape_of(graph, v)[static_cast<std::size_t>(axis)]);
  Attributes attributes;
  attributes.set("perm", perm);
  return insert_node(graph, "Transpose", base_name, {v}, graph.value(v).dtype, std::move(shape),
                     std::move(attributes));
}

ValueId insert_gather(Graph& graph, std::string_view base_name, ValueId v, std::int64_t axis,
                      const std::vector<std::int64_t>& positions) {
  Shape shape = shape_of(graph, v);
  std::int64_t& extent = shape[static_cast<std::size_t>(axis)];
  bool all = extent == static_cast<std::int64_t>(positions.size());
  for (std::size_t i = 0; all && i < positions.size(); ++i)
    all = positions[i] == static_cast<std::int64_t>(i);
  if (all) return v;
  extent = static_cast<std::int64_t>(positions.size());
  Attributes attributes;
  attributes.set("axis", axis);
  const ValueId list = add_ints(graph, std::string(base_name) + "_positions", positions);
  return insert_node(graph, "Gather", base_name, {v, list}, graph.value(v).dtype, std::move(shape),
                     std::move(attributes));
}

std::vector<std::int64_t> inverse_positions(const std::vector<std::int64_t>& positions) {
  std::vector<std::int64_t> inverse(positions.size());
  for (std::size_t i = 0; i < positions.size(); ++i)
    inverse[static_cast<std::size_t>(positions[i])] = static_cast<std::int64_t>(i);
  return inverse;
}

ValueId insert_concat(Graph& graph, std::string_view base_name, const std::vector<ValueId>& parts,
                      std::int64_t axis) {
  if (parts.size() == 1) return parts.front();
  Shape shape = shape_of(graph, parts.front());
  std::int64_t& extent = shape[static_cast<std::size_t>(axis)];
  extent = 0;
  for (const ValueId part : parts) extent += shape_of(graph, part)[static_cast<std::size_t>(axis)];
  Attributes attributes;
  attributes.set("axis", axis);
  return insert_node(graph, "Concat", base_name, parts, graph.value(parts.front()).dtype,
                     std::move(shape), std::move(attributes));
}

ValueId insert_slice(Graph& graph, std::string_view base_name, ValueId v, const Shape& begin,
                     const Shape& end) {
  const Shape& from = shape_of(graph, v);
  std::vector<std::int64_t> starts, ends, axes;
  Shape shape = from;
  for (std::size_t axis = 0; axis < from.size(); ++axis) {
    if (begin[axis] == 0 && end[axis] == from[axis]) continue;
    starts.push_back(begin[axis]);
    ends.push_back(end[axis]);
    axes.push_back(static_cast<std::int64_t>(axis));
    shape[axis] = end[axis] - begin[axis];
  }
  if (axes.empty()) return v;
  const std::string name(base_name);
  const std::vector<std::int64_t> steps(axes.size(), 1);
  return insert_node(
      graph, "Slice", name,
      {v, add_ints(graph, name + "_starts", starts), add_ints(graph, name + "_ends", ends),
       add_ints(graph, name + "_axes", axes), add_ints(graph, name + "_steps", steps)},
      graph.value(v).dtype, std::move(shape));
}

ValueId insert_expand(Graph& graph, std::string_view base_name, ValueId v, const Shape& shape) {
  if (shape_of(graph, v) == shape) return v;
  const ValueId target = add_ints(graph, std::string(base_name) + "_shape", shape);
  return insert_node(graph, "Expand", base_name, {v, target}, graph.value(v).dtype, shape);
}

void take_over(Graph& graph, NodeId id, ValueId to) {
  const ValueId from = graph.node(id).outputs.at(0);
  const NodeId last = graph.value(to).producer;
  if (last == kNone || graph.value(to).consumers.size() > 0 || graph.is_output(to)) {
    become(graph, id, "Identity", {to});
    return;
  }
  graph.remove_node(id);
  const auto& outputs = graph.node(last).outputs;
  const auto index =
      static_cast<std::size_t>(std::find(outputs.begin(), outputs.end(), to) - outputs.begin());
  graph.take_output(last, index, from);
}

}  // namespace espquant::passes
