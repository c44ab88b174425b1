#include <algorithm>
#include <array>
#include <string_view>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Expand and Tile. An operator that broadcasts needs no expanded operand; for others the copies
/// are gathered, axis by axis.
namespace espquant::passes {
namespace {

bool broadcasts(std::string_view op) {
  constexpr std::array<std::string_view, 13> kOps = {
      "Add", "Sub",   "Mul",   "Div",     "Max",  "Min",           "Pow",
      "Mod", "Where", "Equal", "Greater", "Less", "GreaterOrEqual"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

bool is_expansion(const Node& node) { return node.op == "Expand" || node.op == "Tile"; }

/// True when every axis that grows has extent 1.
bool only_repeats_ones(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  const std::size_t missing = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i] != 1 && from[i] != to[missing + i]) return false;
  return true;
}

/// Readers that broadcast to the same shape by their other operands read `from` instead.
bool skip_for_readers(Graph& graph, ValueId expanded, ValueId from) {
  bool changed = false;
  const std::vector<NodeId> readers = graph.value(expanded).consumers;
  for (const NodeId reader : readers) {
    if (!broadcasts(graph.node(reader).op)) continue;
    const std::vector<ValueId> inputs = graph.node(reader).inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (graph.node(reader).inputs[i] != expanded) continue;
      Shape joined = shape_of(graph, from);
      for (std::size_t k = 0; k < inputs.size(); ++k)
        if (k != i) joined = broadcast(joined, shape_of(graph, graph.node(reader).inputs[k]));
      if (joined != shape_of(graph, graph.node(reader).outputs.at(0))) continue;
      graph.set_input(reader, i, from);
      changed = true;
    }
  }
  return changed;
}

bool gather_copies(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Shape to = shape_of(graph, node.outputs[0]);
  Shape from = shape_of(graph, node.inputs[0]);
  from.insert(from.begin(), to.size() - from.size(), 1);
  ValueId v = insert_reshape(graph, node.name + "_axes", node.inputs[0], from);
  // From the last axis on: blocks that are copied get longer.
  for (std::size_t i = to.size(); i-- > 0;) {
    std::vector<std::int64_t> positions;
    for (std::int64_t k = 0; k < to[i]; ++k) positions.push_back(k % from[i]);
    v = insert_gather(graph, node.name + "_copies", v, static_cast<std::int64_t>(i), positions);
  }
  take_over(graph, id, v);
  return true;
}

bool rewrite_expansion(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!is_expansion(node) || constant_of(graph, node.inputs[0]) != nullptr) return false;
  const ValueId expanded = node.outputs[0], from = node.inputs[0];
  if (element_count(shape_of(graph, expanded)) == 0) return false;
  const bool skipped = only_repeats_ones(shape_of(graph, from), shape_of(graph, expanded)) &&
                       skip_for_readers(graph, expanded, from);
  if (graph.value(expanded).consumers.empty() && !graph.is_output(expanded)) return skipped;
  return gather_copies(graph, id);
}

}  // namespace

std::int64_t move_expanded(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_expansion(graph, id); });
}

}  // namespace espquant::passes
