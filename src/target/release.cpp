#include "target/release.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace espquant {
namespace {

constexpr std::array kReleases = {
    Release{"3.3.9", 0},  Release{"3.3.10", 1}, Release{"3.3.11", 2}, Release{"3.3.12", 3},
    Release{"3.3.13", 4}, Release{"3.3.14", 5}, Release{"3.3.15", 6},
};

/// Fails to compile for a version that is not listed.
constexpr Release since(std::string_view version) {
  for (const Release& release : kReleases)
    if (release.version == version) return release;
  throw "no such release";
}

using enum Feature;
using enum Certainty;

constexpr std::array kFeatures = {
    FeatureFact{PReluRescalesOnC, "int8 PRelu rescales on chips without vectors", since("3.3.10"),
                Inferred},
    FeatureFact{Feature::W8A16, "W8A16: int8 weights, int16 activations", since("3.3.11"), Read},
    FeatureFact{PlainKernelCalls, "kernels called through plain pointers", since("3.3.11"),
                Inferred},
    FeatureFact{KernelSelection, "operators and kernels chosen when the application is built",
                since("3.3.12"), Read},
    FeatureFact{TiledPointwise, "1x1 convolutions in tiles", since("3.3.12"), Inferred},
    FeatureFact{TiledConvolutions, "larger convolutions in tiles", since("3.3.14"), Inferred},
    FeatureFact{FastDataMovement, "Transpose and Concat by vector kernels", since("3.3.14"),
                Inferred},
    FeatureFact{NativeMatMul, "MatMul with a second operand that is not packed", since("3.3.14"),
                Assumed},
    FeatureFact{PortableRows, "1x1 convolutions on chips without vectors by four pixels",
                since("3.3.15"), Inferred},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kFeatures.size(); ++i)
    if (static_cast<std::size_t>(kFeatures[i].feature) != i) return false;
  return true;
}
static_assert(in_order());

/// "3.3.15" as {3, 3, 15}; nothing for what is no version.
std::optional<std::vector<int>> numbers_of(std::string_view version) {
  constexpr std::size_t kMostDigits = 6;
  std::vector<int> numbers;
  while (true) {
    const std::size_t end = std::min(version.find('.'), version.size());
    const std::string_view part = version.substr(0, end);
    if (part.empty() || part.size() > kMostDigits ||
        part.find_first_not_of("0123456789") != std::string_view::npos)
      return std::nullopt;
    numbers.push_back(std::stoi(std::string(part)));
    if (end == version.size()) return numbers;
    version.remove_prefix(end + 1);
  }
}

}  // namespace

std::string_view to_string(Certainty certainty) {
  switch (certainty) {
    case Certainty::Read:
      return "read";
    case Certainty::Inferred:
      return "inferred";
    case Certainty::Assumed:
      return "assumed";
  }
  return "?";
}

bool Release::has(Feature feature) const { return *this >= fact_of(feature).since; }

std::span<const FeatureFact> all_features() { return kFeatures; }

const FeatureFact& fact_of(Feature feature) { return kFeatures[static_cast<std::size_t>(feature)]; }

std::span<const Release> all_releases() { return kReleases; }

const Release& newest_release() { return kReleases.back(); }

const Release& find_release(std::string_view version) {
  const auto found = std::find_if(kReleases.begin(), kReleases.end(),
                                  [&](const Release& r) { return r.version == version; });
  if (found != kReleases.end()) return *found;
  std::vector<std::string_view> known;
  for (const Release& release : kReleases) known.push_back(release.version);
  const auto numbers = numbers_of(version);
  const bool newer = numbers && *numbers > *numbers_of(newest_release().version);
  throw Error(ErrorCode::Usage,
              newer ? fmt::format("ESP-DL {} is newer than {}, the newest that is known here",
                                  version, newest_release().version)
                    : fmt::format("there is no release '{}' of ESP-DL that is known here", version))
      .remedy(newer ? fmt::format("Give --espdl {}", newest_release().version)
                    : fmt::format("Known: {}", fmt::join(known, ", ")));
}

}  // namespace espquant
