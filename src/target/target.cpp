#include "target/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace espquant {
namespace {

constexpr Target portable(std::string_view name) {
  return {name, Family::C, Rounding::HalfUp, false};
}

constexpr std::array kTargets = {
    Target{"esp32s3", Family::S3, Rounding::HalfUp, false},
    Target{"esp32p4", Family::P4, Rounding::HalfEven, true},
    Target{"esp32s31", Family::P4, Rounding::HalfEven, true},
    portable("esp32"),
    portable("esp32s2"),
    portable("esp32c2"),
    portable("esp32c3"),
    portable("esp32c5"),
    portable("esp32c6"),
    portable("c"),
};

}  // namespace

std::string_view to_string(Family family) {
  switch (family) {
    case Family::C:
      return "C";
    case Family::S3:
      return "S3";
    case Family::P4:
      return "P4";
  }
  return "?";
}

std::span<const Target> all_targets() { return kTargets; }

const Target& find_target(std::string_view name) {
  std::string key;
  for (char c : name)
    if (c != '-' && c != '_') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Target& t : kTargets)
    if (t.name == key) return t;
  std::vector<std::string> names;
  for (const Target& t : kTargets) names.emplace_back(t.name);
  const std::string nearest = nearest_name(key, names);
  throw Error(ErrorCode::Usage, fmt::format("there is no target '{}'", name))
      .remedy(nearest.empty() ? fmt::format("Known: {}", fmt::join(names, ", "))
                              : fmt::format("Did you mean '{}'?", nearest));
}

const Target& representative(Family family) {
  return *std::find_if(kTargets.begin(), kTargets.end(),
                       [&](const Target& t) { return t.family == family; });
}

}  // namespace espquant
