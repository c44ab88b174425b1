#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"

/// ESP-DL 3.10: where an operand of an int8 Div has a single element, the chip makes a table of it
/// in the first run and never again. With several elements it divides one by one.
namespace espquant::passes {
namespace {

bool is_single(const Graph& graph, ValueId v) { return element_count(shape_of(graph, v)) == 1; }

/// v + 0 of that shape, which writes its one element several times and changes nothing.
ValueId spread(Graph& graph, const Node& div, ValueId v, const Shape& shape) {
  const ValueId zeros = add_constant(graph, div.name + "_zeros", Tensor(DType::Float32, shape));
  return insert_node(graph, "Add", div.name + "_spread", {v, zeros}, DType::Float32, shape);
}

bool spread_one(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "Div" || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  const bool changes = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
    return is_single(graph, v) && constant_of(graph, v) == nullptr;
  });
  if (!changes) return false;
  const Shape out = shape_of(graph, node.outputs[0]);
  const std::size_t rank = std::max<std::size_t>(out.size(), 1);
  Shape wide(rank, 1);
  // The last axis that is one: a row of it is divided at a time.
  const auto last = std::find_if(out.rbegin(), out.rend(), [](std::int64_t e) { return e > 1; });
  const bool all_single = last == out.rend();
  if (all_single)
    wide.back() = 2;
  else
    wide[static_cast<std::size_t>(out.rend() - last) - 1] = *last;
  std::vector<ValueId> operands;
  for (ValueId v : node.inputs)
    operands.push_back(
        is_single(graph, v) && constant_of(graph, v) == nullptr ? spread(graph, node, v, wide) : v);
  if (!all_single) {
    set_inputs(graph, id, operands);
    return true;
  }
  Shape one(rank, 1);
  const ValueId both = insert_node(graph, "Div", node.name, operands, DType::Float32, wide);
  const ValueId first = insert_node(
      graph, "Slice", node.name + "_first",
      {both, add_ints(graph, node.name + "_starts", {0}), add_ints(graph, node.name + "_ends", {1}),
       add_ints(graph, node.name + "_axes", {static_cast<std::int64_t>(rank) - 1})},
      DType::Float32, one);
  become(graph, id, "Reshape", {first, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t spread_operands(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return spread_one(graph, id); });
}

}  // namespace espquant::passes
