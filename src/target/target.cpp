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

struct Chip {
  std::string_view name;
  Family family;
};

constexpr std::array kChips = {
    Chip{"esp32s3", Family::S3}, Chip{"esp32p4", Family::P4}, Chip{"esp32s31", Family::P4},
    Chip{"esp32", Family::C},    Chip{"esp32s2", Family::C},  Chip{"esp32c2", Family::C},
    Chip{"esp32c3", Family::C},  Chip{"esp32c5", Family::C},  Chip{"esp32c6", Family::C},
    Chip{"c", Family::C},
};

using Targets = std::array<Target, kChips.size()>;

Targets targets_under(const Release& release) {
  Targets targets{};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const bool p4 = kChips[i].family == Family::P4;
    targets[i] = {kChips[i].name, kChips[i].family, p4 ? Rounding::HalfEven : Rounding::HalfUp, p4,
                  release};
  }
  return targets;
}

/// Of each release, the oldest first.
const std::vector<Targets>& tables() {
  static const std::vector<Targets> all = [] {
    std::vector<Targets> made;
    for (const Release& release : all_releases()) made.push_back(targets_under(release));
    return made;
  }();
  return all;
}

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

std::span<const Target> all_targets() { return tables().back(); }

const Target& Target::under(const Release& other) const {
  const Targets& targets = tables()[other.age];
  return *std::find_if(targets.begin(), targets.end(),
                       [&](const Target& t) { return t.name == name; });
}

const Target& find_target(std::string_view name) {
  std::string key;
  for (char c : name)
    if (c != '-' && c != '_') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Target& t : all_targets())
    if (t.name == key) return t;
  std::vector<std::string> names;
  for (const Target& t : all_targets()) names.emplace_back(t.name);
  const std::string nearest = nearest_name(key, names);
  throw Error(ErrorCode::Usage, fmt::format("there is no target '{}'", name))
      .remedy(fmt::format("{}There are {}",
                          nearest.empty() ? "" : fmt::format("Did you mean '{}'? ", nearest),
                          fmt::join(names, ", ")));
}

const Target& representative(Family family) {
  const auto targets = all_targets();
  return *std::find_if(targets.begin(), targets.end(),
                       [&](const Target& t) { return t.family == family; });
}

}  // namespace espquant
