#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace espquant {
namespace {

/// Restores the default when a test that asked for threads ends.
struct ThreadsForATest {
  explicit ThreadsForATest(int threads) { set_thread_count(threads); }
  ~ThreadsForATest() { set_thread_count(0); }
};

TEST(ParallelFor, RunsEveryIndexOnce) {
  const ThreadsForATest four(4);
  std::vector<std::atomic<int>> runs(1000);
  parallel_for(1000, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
  for (const auto& times : runs) EXPECT_EQ(times, 1);
}

TEST(ParallelFor, OfNothingRunsNothing) {
  parallel_for(0, [](std::int64_t) { FAIL(); });
  parallel_for(-1, [](std::int64_t) { FAIL(); });
}

TEST(ParallelFor, TellsWorkersApart) {
  const ThreadsForATest three(3);
  ASSERT_EQ(thread_count(), 3);
  std::vector<std::atomic<bool>> busy(3);
  std::atomic<bool> shared = false;
  parallel_for(200, [&](std::int64_t) {
    auto& own = busy.at(static_cast<std::size_t>(worker_index()));
    if (own.exchange(true)) shared = true;
    own = false;
  });
  EXPECT_FALSE(shared);
  EXPECT_EQ(worker_index(), 0);
}

TEST(ParallelFor, RethrowsTheFirstException) {
  const ThreadsForATest two(2);
  const auto loop = [] {
    parallel_for(100, [](std::int64_t i) {
      if (i == 7) throw std::runtime_error("seven");
    });
  };
  EXPECT_THROW(loop(), std::runtime_error);
}

TEST(ParallelFor, RunsInsideAnother) {
  const ThreadsForATest two(2);
  std::vector<int> sums(8);
  parallel_for(8, [&](std::int64_t i) {
    std::vector<int> terms(10);
    parallel_for(10, [&](std::int64_t j) { terms[static_cast<std::size_t>(j)] = 1; });
    for (const int term : terms) sums[static_cast<std::size_t>(i)] += term;
  });
  EXPECT_EQ(sums, std::vector<int>(8, 10));
}

}  // namespace
}  // namespace espquant
