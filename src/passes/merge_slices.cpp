#include <algorithm>
#include <numeric>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// A Slice with constant arguments, one entry per axis that it cuts.
struct Cut {
  std::vector<std::int64_t> starts, ends, axes, steps;
};

std::optional<Cut> cut_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto starts = ints_of(graph, node.input(1)), ends = ints_of(graph, node.input(2));
  if (!starts || !ends || starts->size() != ends->size()) return std::nullopt;
  Cut cut{*starts, *ends, std::vector<std::int64_t>(starts->size()),
          std::vector<std::int64_t>(starts->size(), 1)};
  std::iota(cut.axes.begin(), cut.axes.end(), 0);
  const auto replace = [&](ValueId v, std::vector<std::int64_t>& target) {
    if (v == kNone) return true;
    const auto given = ints_of(graph, v);
    if (!given || given->size() != target.size()) return false;
    target = *given;
    return true;
  };
  if (!replace(node.input(3), cut.axes) || !replace(node.input(4), cut.steps)) return std::nullopt;
  const std::int64_t rank = rank_of(graph, node.inputs[0]);
  for (std::int64_t& axis : cut.axes) axis = normalize_axis(axis, rank);
  return cut;
}

void append(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// Two Slices in a row over different axes are one.
bool merge_slice(Graph& graph, NodeId id) {
  if (graph.node(id).op != "Slice") return false;
  const ValueId in = graph.node(id).inputs[0];
  const NodeId before = producer(graph, in, "Slice");
  if (before == kNone || only_reader(graph, in) != id) return false;
  auto first = cut_of(graph, before);
  const auto second = cut_of(graph, id);
  if (!first || !second) return false;
  for (std::int64_t axis : second->axes)
    if (std::find(first->axes.begin(), first->axes.end(), axis) != first->axes.end()) return false;
  append(first->starts, second->starts);
  append(first->ends, second->ends);
  append(first->axes, second->axes);
  append(first->steps, second->steps);
  const std::string name = graph.node(id).name;
  const ValueId source = graph.node(before).inputs[0];
  const ValueId starts = add_ints(graph, name + "_starts", first->starts);
  const ValueId ends = add_ints(graph, name + "_ends", first->ends);
  const ValueId axes = add_ints(graph, name + "_axes", first->axes);
  const ValueId steps = add_ints(graph, name + "_steps", first->steps);
  become(graph, id, "Slice", {source, starts, ends, axes, steps});
  return true;
}

}  // namespace

std::int64_t merge_slices(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_slice(graph, id); });
}

}  // namespace espquant::passes
