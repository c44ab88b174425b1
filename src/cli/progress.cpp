#include "cli/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/seconds.h"
#include "cli/terminal.h"

namespace espquant::cli {
namespace {

constexpr std::int64_t kBarWidth = 30;
constexpr auto kRedrawInterval = std::chrono::milliseconds(100);

std::string bar(std::int64_t done, std::int64_t total) {
  const auto filled =
      static_cast<std::size_t>(kBarWidth * std::clamp<std::int64_t>(done, 0, total) / total);
  return '[' + std::string(filled, '=') + std::string(kBarWidth - filled, ' ') + ']';
}

/// ", about 40 s left", once there is something to go by.
std::string time_left(std::chrono::steady_clock::time_point begun, std::int64_t done,
                      std::int64_t total) {
  constexpr double kToGoBy = 2;
  const double passed = seconds_since(begun);
  if (done < 1 || done >= total || passed < kToGoBy) return "";
  const double left = passed * static_cast<double>(total - done) / static_cast<double>(done);
  return left < 100 ? fmt::format(", about {:.0f} s left", left)
                    : fmt::format(", about {:.0f} min left", left / 60);
}

}  // namespace

Progress::Progress(std::string_view label, std::int64_t total, bool quiet)
    : label_(label), total_(total), visible_(!quiet && shows_progress()) {}

Progress::~Progress() {
  if (visible_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::int64_t done) {
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < kRedrawInterval && done != total_) return;
  drawn_ = now;
  if (total_ > 0)
    fmt::print(stderr, "\r\033[K{} {} {}/{}{}", label_, bar(done, total_), done, total_,
               time_left(begun_, done, total_));
  else if (done > 0)
    fmt::print(stderr, "\r\033[K{} {}", label_, done);
  else
    fmt::print(stderr, "\r\033[K{} ...", label_);
  std::fflush(stderr);
}

}  // namespace espquant::cli
