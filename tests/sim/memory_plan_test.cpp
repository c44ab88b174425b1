#include "sim/memory_plan.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace espquant::sim {
namespace {

bool alive_together(const Lifetime& a, const Lifetime& b) {
  return a.begin <= b.end && b.begin <= a.end;
}

TEST(MemoryPlan, ATensorTakesTheBytesOfADeadOne) {
  const std::vector<Lifetime> chain = {{64, 0, 1}, {64, 1, 2}, {64, 2, 3}};
  const MemoryPlan plan = plan_buffers(chain);
  EXPECT_EQ(plan.offsets[2], plan.offsets[0]);
  EXPECT_EQ(plan.size, 128U);
}

TEST(MemoryPlan, NeighbouringHolesMerge) {
  const std::vector<Lifetime> tensors = {{64, 0, 0}, {64, 0, 0}, {64, 0, 2}, {128, 1, 2}};
  const MemoryPlan plan = plan_buffers(tensors);
  EXPECT_EQ(plan.offsets[3], 0U);
  EXPECT_EQ(plan.size, 192U);
}

TEST(MemoryPlan, TensorsAliveTogetherNeverOverlap) {
  Random random(7);
  std::vector<Lifetime> tensors;
  for (int i = 0; i < 200; ++i) {
    const auto begin = static_cast<std::size_t>(random.below(50));
    tensors.push_back({static_cast<std::size_t>(random.below(1000)), begin,
                       begin + static_cast<std::size_t>(random.below(8))});
  }
  const MemoryPlan plan = plan_buffers(tensors);
  for (std::size_t a = 0; a < tensors.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % 64, 0U);
    EXPECT_LE(plan.offsets[a] + tensors[a].size, plan.size);
    for (std::size_t b = 0; b < a; ++b) {
      if (!alive_together(tensors[a], tensors[b]) || tensors[a].size == 0 || tensors[b].size == 0)
        continue;
      EXPECT_TRUE(plan.offsets[a] + tensors[a].size <= plan.offsets[b] ||
                  plan.offsets[b] + tensors[b].size <= plan.offsets[a])
          << a << " and " << b;
    }
  }
}

TEST(MemoryPlan, EmptyTensorsTakeNothing) {
  const std::vector<Lifetime> tensors = {{0, 0, 5}, {0, 0, 5}};
  EXPECT_EQ(plan_buffers(tensors).size, 0U);
}

}  // namespace
}  // namespace espquant::sim
