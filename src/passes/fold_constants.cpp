#include <algorithm>

#include "ops/op.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// Larger results stay computations: a file of a few bytes can describe gigabytes (Expand, Tile,
/// ConstantOfShape).
constexpr std::int64_t kMaxFoldedElements = std::int64_t{1} << 24;
/// So does what would take long.
constexpr std::int64_t kMaxFoldedMacs = std::int64_t{1} << 30;

bool fold_node(Graph& graph, NodeId id) {
  if (ops::macs_of(graph, graph.node(id)) > kMaxFoldedMacs) return false;
  const auto results = ops::fold_node(graph, graph.node(id), kMaxFoldedElements);
  if (!results) return false;
  const std::vector<ValueId> outputs = graph.node(id).outputs;
  graph.remove_node(id);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNone) continue;
    Value& v = graph.value(outputs[i]);
    v.constant = (*results)[i];
    v.dtype = v.constant.dtype();
    v.shape = v.constant.shape();
  }
  return true;
}

}  // namespace

std::int64_t fold_constants(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fold_node(graph, id); });
}

}  // namespace espquant::passes
