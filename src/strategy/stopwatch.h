#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/seconds.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

struct Stage {
  std::string name;
  double seconds = 0;
};

/// Runs the stages of a job: tells of each, and keeps how long it took.
class Stopwatch {
 public:
  /// Both must outlive it.
  Stopwatch(std::vector<Stage>& stages, const StageProgress& progress)
      : stages_(stages), progress_(progress) {}

  const StageProgress& progress() const { return progress_; }

  template <typename F>
  auto run(std::string name, F&& work) {
    if (progress_) progress_(name, 0, 0);
    const auto begin = std::chrono::steady_clock::now();
    const auto finish = [&] { stages_.push_back({std::move(name), seconds_since(begin)}); };
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      finish();
    } else {
      auto result = work();
      finish();
      return result;
    }
  }

 private:
  std::vector<Stage>& stages_;
  const StageProgress& progress_;
};

}  // namespace espquant::strategy
