#include "base/cancel.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/parallel.h"

namespace espquant {
namespace {

TEST(Cancel, EndsLoopsWithinLoops) {
  CancelFlag flag = false;
  const CancelScope scope(&flag);
  std::atomic<int> begun = 0;
  try {
    parallel_for(100, [&](std::int64_t) {
      parallel_for(100, [&](std::int64_t) {
        ++begun;
        flag = true;
      });
    });
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
  EXPECT_LE(begun, thread_count());
}

TEST(Cancel, IsForgottenBehindItsScope) {
  CancelFlag flag = true;
  { const CancelScope scope(&flag); }
  int done = 0;
  parallel_for(1, [&](std::int64_t) { ++done; });
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace espquant
