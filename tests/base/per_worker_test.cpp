#include "base/per_worker.h"

#include <gtest/gtest.h>

#include <atomic>

namespace espquant {
namespace {

class PerWorkers : public testing::TestWithParam<int> {
 protected:
  PerWorkers() { set_thread_count(GetParam()); }
  ~PerWorkers() override { set_thread_count(0); }
};
INSTANTIATE_TEST_SUITE_P(Threads, PerWorkers, testing::Values(1, 3));

TEST_P(PerWorkers, EveryTaskFindsOneAndNoMoreAreMadeThanThereAreWorkers) {
  struct Shared {
    std::atomic<int> made = 0;
  } shared;
  struct Worker {
    explicit Worker(Shared* const& of) { ++of->made; }
    std::int64_t seen = 0;
  };
  Shared* const pointer = &shared;
  PerWorker<Worker> workers(pointer);
  constexpr std::int64_t kTasks = 200;
  for (int loop = 0; loop < 2; ++loop)
    parallel_for(kTasks, [&](std::int64_t) { ++workers.mine().seen; });
  std::int64_t seen = 0;
  int visited = 0;
  workers.for_each([&](const Worker& worker) {
    seen += worker.seen;
    ++visited;
  });
  EXPECT_EQ(seen, 2 * kTasks);
  EXPECT_EQ(visited, shared.made);
  EXPECT_GE(visited, 1);
  EXPECT_LE(visited, GetParam());
}

}  // namespace
}  // namespace espquant
