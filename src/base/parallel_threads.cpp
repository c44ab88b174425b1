// The parallel loop of thread sanitizer builds. Debian's TBB is not built with the sanitizer, which
// therefore sees none of its hand-overs between threads and takes every task for a race.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/parallel.h"

namespace espquant {
namespace {

std::atomic<int> wanted_threads = 0;
thread_local int own_index = 0;
thread_local bool inside_a_loop = false;

/// One loop that several threads take their indices from.
class SharedLoop {
 public:
  SharedLoop(std::int64_t count, const std::function<void(std::int64_t)>& body)
      : count_(count), body_(body) {}

  void work(int index) {
    own_index = index;
    inside_a_loop = true;
    omp_set_num_threads(1);
    try {
      const CancelScope scope(cancel_);
      for (std::int64_t i = next_++; i < count_; i = next_++) {
        throw_if_cancelled();
        body_(i);
      }
    } catch (...) {
      next_ = count_;
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    own_index = 0;
    inside_a_loop = false;
  }

  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::int64_t count_;
  const std::function<void(std::int64_t)>& body_;
  const CancelFlag* cancel_ = current_cancel_flag();
  std::atomic<std::int64_t> next_ = 0;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void set_thread_count(int threads) { wanted_threads = std::max(threads, 0); }

int thread_count() {
  const int wanted = wanted_threads;
  return wanted > 0 ? wanted : std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (inside_a_loop) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  SharedLoop loop(count, body);
  const auto helpers = std::min<std::int64_t>(thread_count(), count) - 1;
  std::vector<std::thread> team;
  for (int index = 1; index <= helpers; ++index)
    team.emplace_back([&loop, index] { loop.work(index); });
  loop.work(0);
  for (auto& thread : team) thread.join();
  loop.rethrow_failure();
}

int worker_index() { return own_index; }

}  // namespace espquant
