#include <numeric>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// The mean over exactly the spatial axes of N,C,W or N,C,H,W.
bool is_spatial_mean(const Graph& graph, const Node& node) {
  if (node.op != "ReduceMean" || graph.value(node.inputs[0]).dtype != DType::Float32) return false;
  const std::int64_t rank = rank_of(graph, node.inputs[0]);
  auto axes = ints_of(graph, node.input(1));
  if (!axes || (rank != 3 && rank != 4) || static_cast<std::int64_t>(axes->size()) != rank - 2)
    return false;
  std::vector<bool> seen(static_cast<std::size_t>(rank), false);
  for (std::int64_t axis : *axes) seen[static_cast<std::size_t>(normalize_axis(axis, rank))] = true;
  return !seen[0] && !seen[1] &&
         std::accumulate(seen.begin(), seen.end(), std::int64_t{0}) == rank - 2;
}

bool rewrite(Graph& graph, NodeId id) {
  if (!is_spatial_mean(graph, graph.node(id))) return false;
  const Node node = graph.node(id);
  const ValueId data = node.inputs[0];
  if (node.attributes.get_int("keepdims", 1) != 0) {
    become(graph, id, "GlobalAveragePool", {data});
    return true;
  }
  const Shape out = shape_of(graph, node.outputs[0]);
  Shape pooled = shape_of(graph, data);
  std::fill(pooled.begin() + 2, pooled.end(), 1);
  const ValueId pool =
      insert_node(graph, "GlobalAveragePool", node.name + "_pool", {data}, DType::Float32, pooled);
  become(graph, id, "Reshape", {pool, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t use_global_pools(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite(graph, id); });
}

}  // namespace espquant::passes
