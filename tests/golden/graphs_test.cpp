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

/// A slice of scripts/fuzz.sh schedules, in parts that can run side by side.
class RandomSchedules : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomSchedules, ComputeTheSame) {
  constexpr std::uint64_t kGraphs = 50;
  std::map<std::string, std::int64_t> rewrites;
  for (std::uint64_t seed = GetParam(); seed < GetParam() + kGraphs; ++seed) {
    const GraphVerdict verdict = judge_schedule(draw_graph(seed, GraphSize::Large));
    EXPECT_NE(verdict.kind, GraphVerdict::Kind::Wrong) << "seed " << seed << ": " << verdict.text;
    for (const auto& [name, places] : verdict.rewrites) rewrites[name] += places;
  }
  for (const char* name : {"pad_channels", "split_filters", "bands"})
    EXPECT_GT(rewrites[name], 0) << name;
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSchedules, testing::Values(1, 51, 101, 151));

}  // namespace
}  // namespace espquant::test
