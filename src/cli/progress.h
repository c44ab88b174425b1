#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace espquant::cli {

/// A bar on stderr: "calibrating [=====>    ] 120/512, about 8 s left". Silent when stderr is not a terminal, or
/// when told so. Not for use by two threads at once.
class Progress {
 public:
  /// `total` is 0 where it is unknown: then only the count is shown, or nothing but the label.
  Progress(std::string_view label, std::int64_t total, bool quiet);
  /// Erases the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done);

 private:
  std::string label_;
  std::int64_t total_;
  bool visible_;
  std::chrono::steady_clock::time_point drawn_{}, begun_ = std::chrono::steady_clock::now();
};

}  // namespace espquant::cli
