#pragma once

#include <span>
#include <string_view>

#include "base/fixed_point.h"
#include "target/release.h"

namespace espquant {

/// Chips of one family run the same kernels of ESP-DL on the same file layouts (reference section
/// 0).
enum class Family : std::uint8_t {
  C,   ///< portable C++ kernels: ESP32, S2, C2, C3, C5, C6
  S3,  ///< ESP32-S3's PIE: 20-bit and 40-bit saturating lanes, half-up
  P4,  ///< ESP32-P4 and S31: PIE V2, half-even, weights per channel
};

std::string_view to_string(Family family);

/// Facts of one chip, under one release of ESP-DL.
struct Target {
  std::string_view name;
  Family family;
  Rounding rounding;
  /// Conv and Gemm may have one exponent per output channel.
  bool per_channel_weights;
  Release release;

  /// The same chip under another release.
  const Target& under(const Release& other) const;

  /// Output channels that one vector instruction holds, and the block of the filter layout: 16
  /// (int8) or 8 (int16); 1 on the C family, whose filters are not blocked.
  int lanes(int bits) const { return family == Family::C ? 1 : bits == 8 ? 16 : 8; }
  /// Signed width that a stored bias may use, in bits: 20 (S3, int8), 32 (int8), 40 (int16), 64 (C,
  /// int16).
  int bias_bits(int bits) const {
    if (bits == 8) return family == Family::S3 ? 20 : 32;
    return family == Family::C ? 64 : 40;
  }
  /// Width of the lanes that sum products: S3 20/40, P4 32/64, C 32/64.
  int accumulator_bits(int bits) const {
    if (family == Family::S3) return bits == 8 ? 20 : 40;
    return bits == 8 ? 32 : 64;
  }
};

/// Every chip that can be named, in the order of the documentation, under the newest release.
std::span<const Target> all_targets();

/// By name, case-insensitive ("esp32s3", "ESP32-S3", "c"), under the newest release. Throws
/// Error(Usage) with the nearest name. Chip and release together are one object: equal targets have
/// the same address.
const Target& find_target(std::string_view name);

/// The typical chip of a family, under the newest release, for files that only say what they were
/// built for.
const Target& representative(Family family);

}  // namespace espquant
