#include "passes/passes.h"

namespace espquant::passes {

std::int64_t remove_dead(Graph& graph) {
  const auto living = [&] { return static_cast<std::int64_t>(graph.topological_order().size()); };
  const std::int64_t before = living();
  graph.remove_dead();
  return before - living();
}

}  // namespace espquant::passes
