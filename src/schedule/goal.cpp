#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "base/quantities.h"
#include "schedule/optimize.h"

namespace espquant::schedule {
namespace {

constexpr std::string_view kGoals = "A goal is latency, ram=200K, or both: ram=200K,latency";

Error not_understood(std::string_view what) {
  return Error(ErrorCode::Usage, fmt::format("'{}' is no goal", what)).remedy(std::string(kGoals));
}

std::size_t bytes_of(std::string_view text, std::string_view goal) {
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes < 1 || *bytes > std::numeric_limits<std::int32_t>::max())
    throw not_understood(goal);
  return static_cast<std::size_t>(*bytes);
}

}  // namespace

Goal parse_goal(std::string_view text) {
  constexpr std::string_view kRam = "ram=";
  Goal goal;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, comma - at);
    at = comma + 1;
    if (part == "latency" && !goal.latency) {
      goal.latency = true;
    } else if (part.starts_with(kRam) && !goal.ram) {
      goal.ram = bytes_of(part.substr(kRam.size()), part);
    } else {
      throw not_understood(part);
    }
  }
  return goal;
}

}  // namespace espquant::schedule
