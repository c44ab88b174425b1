#include "calib/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calib/histogram.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "base/error.h"

HWY_BEFORE_NAMESPACE();
namespace espquant::calib::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Of a float32: sign, 8 bits of exponent, 23 of mantissa. A key is the exponent and the 7 bits
// after it, which number the bins of all octaves.
constexpr std::int32_t kMagnitudeMask = 0x7FFFFFFF;
constexpr int kKeyShift = 16;

/// Counts keys from `first_key` on; returns how many values lie below. No key lies beyond the bins.
/// Zeros, which are half of what a ReLU puts out, are left out before the counting: adding to one
/// bin again and again would wait for the store each time.
std::uint64_t CountMagnitudes(const float* x, std::size_t n, std::int32_t first_key,
                              std::uint64_t* counts) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToSigned<decltype(df)> d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t kBlock = 1024;
  alignas(64) std::int32_t bins[kBlock + 16];
  const auto mask = hn::Set(d, kMagnitudeMask), first = hn::Set(d, first_key),
             below = hn::Set(d, -1);
  std::uint64_t counted = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    std::size_t found = 0, i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto key =
          hn::ShiftRight<kKeyShift>(hn::And(hn::BitCast(d, hn::LoadU(df, x + i)), mask));
      const auto bin = hn::Sub(key, first);
      const auto counted_here = hn::Gt(bin, below);
      // Not CompressStore: compressing into memory is microcode on some processors.
      hn::StoreU(hn::Compress(bin, counted_here), d, bins + found);
      found += hn::CountTrue(d, counted_here);
    }
    for (; i < end; ++i) {
      const std::int32_t key = (std::bit_cast<std::int32_t>(x[i]) & kMagnitudeMask) >> kKeyShift;
      if (key >= first_key) bins[found++] = key - first_key;
    }
    for (std::size_t k = 0; k < found; ++k) ++counts[bins[k]];
    counted += found;
  }
  return n - counted;
}

}  // namespace espquant::calib::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espquant::calib {

HWY_EXPORT(CountMagnitudes);

namespace {
constexpr int kMantissaBits = 23;
constexpr std::uint32_t kExponentBias = 127;
}  // namespace

void Histogram::reach(std::uint32_t octave) {
  // The window stays among the normal floats.
  octave = std::max<std::uint32_t>(octave, kOctaves);
  if (counts_.empty()) {
    counts_.resize(kBins);
    last_octave_ = octave;
  }
  if (octave <= last_octave_) return;
  const std::uint32_t octaves = std::min<std::uint32_t>(octave - last_octave_, kOctaves);
  const auto kept = counts_.begin() + static_cast<std::ptrdiff_t>(octaves) * kBinsPerOctave;
  below_ = std::accumulate(counts_.begin(), kept, below_);
  std::fill(std::move(kept, counts_.end(), counts_.begin()), counts_.end(), 0);
  last_octave_ = octave;
}

void Histogram::add(std::span<const float> values, const Extent& extent) {
  if (!extent.finite) return;
  const std::uint32_t octave = std::bit_cast<std::uint32_t>(extent.abs_max()) >> kMantissaBits;
  // Zero, or too small for a normal float.
  if (octave == 0) {
    below_ += values.size();
    return;
  }
  reach(octave);
  const auto first_key = static_cast<std::int32_t>((last_octave_ + 1 - kOctaves) * kBinsPerOctave);
  below_ += HWY_DYNAMIC_DISPATCH(CountMagnitudes)(values.data(), values.size(), first_key,
                                                  counts_.data());
}

void Histogram::add(const Histogram& other) {
  below_ += other.below_;
  if (other.counts_.empty()) return;
  reach(other.last_octave_);
  const std::uint32_t behind =
      std::min<std::uint32_t>(last_octave_ - other.last_octave_, kOctaves) * kBinsPerOctave;
  for (std::uint32_t i = 0; i < behind; ++i) below_ += other.counts_[i];
  for (std::uint32_t i = behind; i < kBins; ++i) counts_[i - behind] += other.counts_[i];
}

std::uint64_t Histogram::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

double Histogram::edge(int i) const {
  if (counts_.empty()) return 0;
  const int octave = static_cast<int>(last_octave_) - static_cast<int>(kExponentBias) + 1 -
                     kOctaves + i / kBinsPerOctave;
  return std::ldexp(1.0 + static_cast<double>(i % kBinsPerOctave) / kBinsPerOctave, octave);
}

double Histogram::quantile(double fraction) const {
  ESPQUANT_ASSERT(fraction >= 0 && fraction <= 1, "a fraction outside [0, 1]");
  const double rank = fraction * static_cast<double>(count());
  double seen = 0;
  for (int i = 0; i < static_cast<int>(counts_.size()); ++i) {
    const auto here = static_cast<double>(counts_[static_cast<std::size_t>(i)]);
    if (here > 0 && seen + here >= rank)
      return edge(i) + (edge(i + 1) - edge(i)) * (rank - seen) / here;
    seen += here;
  }
  return 0;
}

}  // namespace espquant::calib
#endif
