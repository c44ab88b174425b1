#pragma once

#include <memory>
#include <vector>

#include "base/parallel.h"

namespace espquant {

/// One T for each worker of a parallel_for, made when that worker first asks for its own: what
/// threads cannot share and is too dear to make for every task.
template <typename T>
class PerWorker {
 public:
  /// `arguments`: of T's constructor; they must outlive this.
  template <typename... Arguments>
  explicit PerWorker(const Arguments&... arguments)
      : make_([&arguments...] { return std::make_unique<T>(arguments...); }),
        made_(static_cast<std::size_t>(thread_count())) {}
  PerWorker(const PerWorker&) = delete;
  PerWorker& operator=(const PerWorker&) = delete;

  /// Of the calling worker.
  T& mine() {
    auto& slot = made_.at(static_cast<std::size_t>(worker_index()));
    if (!slot) slot = make_();
    return *slot;
  }

  /// Those that were made, after the loop. Which samples each has seen depends on the threads.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const auto& one : made_)
      if (one) visit(*one);
  }

 private:
  std::function<std::unique_ptr<T>()> make_;
  std::vector<std::unique_ptr<T>> made_;
};

}  // namespace espquant
