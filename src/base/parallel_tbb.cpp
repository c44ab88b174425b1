#include "base/parallel.h"

#include <omp.h>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "base/cancel.h"

namespace espquant {
namespace {

std::mutex arena_mutex;
int configured_threads = 0;
std::shared_ptr<tbb::task_arena> shared_arena;
/// Beyond the number of cores TBB gives no threads, and says so on stderr, unless it is told to.
std::unique_ptr<tbb::global_control> thread_limit;

std::shared_ptr<tbb::task_arena> arena() {
  std::lock_guard lock(arena_mutex);
  if (!shared_arena) {
    const int n =
        configured_threads > 0 ? configured_threads : tbb::this_task_arena::max_concurrency();
    if (configured_threads > 0)
      thread_limit = std::make_unique<tbb::global_control>(
          tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n));
    shared_arena = std::make_shared<tbb::task_arena>(std::max(n, 1));
  }
  return shared_arena;
}

}  // namespace

void set_thread_count(int threads) {
  std::lock_guard lock(arena_mutex);
  configured_threads = std::max(threads, 0);
  shared_arena.reset();
}

int thread_count() { return arena()->max_concurrency(); }

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  auto pool = arena();
  const CancelFlag* cancel = current_cancel_flag();
  pool->execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, count, 1),
        [&](const tbb::blocked_range<std::int64_t>& range) {
          // oneDNN's own OpenMP team inside a task would spin against the other tasks.
          omp_set_num_threads(1);
          const CancelScope scope(cancel);
          for (std::int64_t i = range.begin(); i != range.end(); ++i) {
            throw_if_cancelled();
            body(i);
          }
        },
        tbb::simple_partitioner{});
  });
}

int worker_index() { return std::max(tbb::this_task_arena::current_thread_index(), 0); }

}  // namespace espquant
