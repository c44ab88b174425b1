#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/fuzz/graph_problem.h"

namespace espquant::test {
namespace {

/// A slice of what scripts/fuzz.sh graphs does for as long as one likes.
TEST(RandomGraphs, AreComputedInPlannedMemoryAsTheyAreSimulated) {
  constexpr std::uint64_t kGraphs = 40;
  std::int64_t equal = 0;
  for (std::uint64_t seed = 1; seed <= kGraphs; ++seed) {
    const GraphVerdict verdict = judge(draw_graph(seed));
    EXPECT_NE(verdict.kind, GraphVerdict::Kind::Wrong) << "seed " << seed << ": " << verdict.text;
    equal += verdict.kind == GraphVerdict::Kind::Equal ? 1 : 0;
  }
  EXPECT_GT(equal, 30);
}

}  // namespace
}  // namespace espquant::test
