#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "espquant/progress.h"

namespace espquant::python {

namespace py = pybind11;

/// Runs `work(observer)` in a thread of its own without the GIL, while this one looks for Ctrl-C
/// several times a second and hands what is told to `progress` (stage, done, total; None: nobody).
/// Where either raises, the work is cancelled, and the exception goes on when it has ended.
template <typename Work>
auto interruptible(const py::object& progress, Work&& work) {
  using Result = decltype(work(std::declval<const Observer&>()));
  struct Told {
    std::string stage;
    std::int64_t done = 0, total = 0;
  };
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::optional<Told> told;
  std::optional<Result> result;
  std::exception_ptr failure;

  Observer observer;
  if (!progress.is_none())
    observer.stage = [&](std::string_view stage, std::int64_t done, std::int64_t total) {
      const std::lock_guard lock(mutex);
      told = Told{std::string(stage), done, total};
    };
  std::thread worker([&] {
    try {
      result.emplace(work(observer));
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_one();
  });

  const auto wait = [&](std::optional<std::chrono::milliseconds> limit) {
    const py::gil_scoped_release release;
    std::unique_lock lock(mutex);
    if (limit)
      changed.wait_for(lock, *limit, [&] { return ended; });
    else
      changed.wait(lock, [&] { return ended; });
    return std::pair(ended, std::exchange(told, std::nullopt));
  };
  const auto join = [&] {
    const py::gil_scoped_release release;
    worker.join();
  };
  try {
    constexpr std::chrono::milliseconds kPause(50);
    while (true) {
      const auto [over, news] = wait(kPause);
      if (news) progress(news->stage, news->done, news->total);
      if (over) break;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
  } catch (...) {
    observer.cancel.cancel();
    join();
    throw;
  }
  join();
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

}  // namespace espquant::python
