#pragma once

#include <chrono>

#include "base/seconds.h"

namespace espquant::strategy {

/// How long a search may try, from when this was made. What it finds depends on the machine then.
class Deadline {
 public:
  /// Without end for 0.
  explicit Deadline(double seconds = 0) : seconds_(seconds) {}

  double seconds() const { return seconds_; }
  bool is_over() const { return seconds_ > 0 && seconds_since(begin_) >= seconds_; }

 private:
  double seconds_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace espquant::strategy
