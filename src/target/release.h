#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string_view>

namespace espquant {

/// What releases of ESP-DL differ in. A file that needs one of them is refused below its release.
enum class Feature : std::uint8_t {
  PReluRescalesOnC,   ///< int8 PRelu of the portable kernels obeys the output's exponent
  W8A16,              ///< Conv, Gemm and MatMul with int8 weights and int16 activations
  PlainKernelCalls,   ///< kernels are called through plain pointers: less time per call
  KernelSelection,    ///< the application compiles in a selection of operators and kernels
  TiledPointwise,     ///< 1x1 convolutions keep a tile of the filter in the cache
  TiledConvolutions,  ///< larger ones do, too
  FastDataMovement,   ///< Transpose and Concat by vector kernels
  NativeMatMul,       ///< MatMul's second operand may lie as it is: input1_layout "native_kn"
  PortableRows,       ///< portable 1x1 convolutions take four pixels at a time
};

/// How well it is known since when a release has a feature.
enum class Certainty : std::uint8_t {
  Read,      ///< release notes or source say so
  Inferred,  ///< dates and measured times say so
  Assumed,   ///< only that a later source has it; the first release is a guess on the safe side
};

std::string_view to_string(Certainty certainty);

/// A release of ESP-DL's component, ordered by age.
struct Release {
  std::string_view version;
  /// Place among all releases, 0 the oldest.
  std::uint8_t age = 0;

  bool has(Feature feature) const;

  friend bool operator==(const Release& a, const Release& b) { return a.age == b.age; }
  friend auto operator<=>(const Release& a, const Release& b) { return a.age <=> b.age; }
};

struct FeatureFact {
  Feature feature;
  /// As docs/releases.md calls it.
  std::string_view name;
  /// The first release that has it.
  Release since;
  Certainty certainty;
};

/// In the order of Feature.
std::span<const FeatureFact> all_features();
const FeatureFact& fact_of(Feature feature);

/// Every release that is known, the oldest first.
std::span<const Release> all_releases();
const Release& newest_release();

/// By its version, "3.3.15". Throws Error(Usage) that lists those that are known, and says so where
/// the version is newer than all of them.
const Release& find_release(std::string_view version);

}  // namespace espquant
