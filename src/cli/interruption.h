#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "base/cancel.h"

namespace espquant::cli {

/// Ctrl-C, SIGTERM and SIGHUP end the program within a second: work is told to stop, and where it
/// does not in time, in the midst of a library's call, staged files are removed and the process
/// ends. Signals that the caller has the program ignore stay ignored. Make it before any other
/// thread: those inherit that the signals come here.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  const CancelFlag* flag() const { return &flag_; }
  /// 128 and the signal, as shells do.
  int exit_code() const;

  /// What to tell: which files were written before, all of them whole.
  static std::string message();

 private:
  void watch();

  CancelFlag flag_ = false;
  std::atomic<int> signal_;
  int signals_ = -1, finished_ = -1;
  std::thread watcher_;
};

}  // namespace espquant::cli
