#pragma once

#include "passes/pass_manager.h"
#include "passes/passes.h"
#include "tests/support/network.h"

namespace espquant::test {

using Operators = std::vector<std::string>;

/// What one pass makes of a network, which must still compute the same.
inline Graph after_pass(std::int64_t (*run)(Graph&), const Graph& before, double relative = 2e-6) {
  Graph graph = before;
  const passes::Pass pass{"pass under test", "", run};
  passes::run_passes(graph, {&pass, 1}, {}, nullptr);
  expect_same_function(graph, before, relative);
  return graph;
}

/// The pass changes nothing.
inline void expect_untouched(std::int64_t (*run)(Graph&), const Graph& before) {
  Graph graph = before;
  EXPECT_EQ(run(graph), 0);
  EXPECT_EQ(print(graph), print(before));
}

}  // namespace espquant::test
