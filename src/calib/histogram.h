#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "calib/step_errors.h"

namespace espquant::calib {

/// How often which magnitude |x| occurs. The bins are those of a short floating-point format: 128
/// of equal width per octave, over the 16 octaves below the largest magnitude seen. Hence every
/// magnitude is known to better than 1 %, however far an outlier lies from the rest; a bin index is
/// a few bits of the float itself; and when a larger magnitude arrives, the window moves up by
/// whole octaves and no count is ever split. What is counted depends on the values alone, not on
/// their order or on how they were divided among histograms that are added.
class Histogram {
 public:
  static constexpr int kBinsPerOctave = 128;
  static constexpr int kOctaves = 16;
  static constexpr int kBins = kOctaves * kBinsPerOctave;

  /// `extent` of the values, as from extent_of. Values that are not all finite are not counted.
  void add(std::span<const float> values, const Extent& extent);
  void add(const Histogram& other);

  /// Values in the bins.
  std::uint64_t count() const;
  /// Values below the first bin: zeros, and what is 2^-15 of the largest magnitude or less.
  std::uint64_t below() const { return below_; }
  /// Values in [edge(i), edge(i + 1)) per bin i; empty where all values are zero.
  std::span<const std::uint64_t> counts() const { return counts_; }
  /// Lower edge of bin i in [0, kBins]; 0 where all values are zero.
  double edge(int i) const;

  /// The magnitude that `fraction`, in [0, 1], of the values in the bins do not exceed, linear
  /// inside a bin. 0 where all values are zero.
  double quantile(double fraction) const;

  bool operator==(const Histogram&) const = default;

 private:
  void reach(std::uint32_t octave);

  // Biased float exponent of the window's last octave; 0: no window yet.
  std::uint32_t last_octave_ = 0;
  std::uint64_t below_ = 0;
  std::vector<std::uint64_t> counts_;
};

}  // namespace espquant::calib
