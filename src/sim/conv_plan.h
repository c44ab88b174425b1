#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/tensor.h"
#include "sim/conv_problem.h"

/// What the vector kernels of conv_simd.cpp work from, prepared once per filter.
///
/// Inputs are widened to int16 and surrounded by their zero padding, so that a window is a few
/// contiguous runs. int16 inputs are split into x = 256 * high + low, both of which fit the same
/// kernels.
namespace espquant::sim {

/// A zero-filled array on a 64-byte boundary.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t count)
      : elements_(allocate_bytes(count * sizeof(T))), count_(count) {
    std::fill_n(data(), count, T{});
  }
  T* data() { return reinterpret_cast<T*>(elements_.get()); }
  const T* data() const { return reinterpret_cast<const T*>(elements_.get()); }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  std::size_t size() const { return count_; }

 private:
  std::shared_ptr<std::byte[]> elements_;
  std::size_t count_ = 0;
};

/// Output channels of one block of packed weights (a 512-bit vector of int32 sums).
inline constexpr std::int64_t kBlockChannels = 16;
/// Channels of one block of packed depthwise weights.
inline constexpr std::int64_t kDepthwiseBlock = 32;
/// Pairs of products between two looks at a sum that might saturate.
inline constexpr std::int64_t kCheckPairs = 8;
/// Pairs of products of 16-bit weights with a byte that an int32 can sum: 2 * 128 * 32768 * 255 <
/// 2^31.
inline constexpr std::int64_t kInt16Pairs = 128;

/// The widened image: rows of `width` pixels of in_c elements, the padding included, cropped to
/// what windows reach.
struct PaddedImage {
  std::int64_t height = 0, width = 0;
  /// Elements, with slack behind the end for vectors that read past it.
  std::int64_t size = 0;
};
PaddedImage padded_image(const ConvGeometry& geometry);

/// A contiguous stretch of a window: `pairs` pairs of elements from `offset` on, relative to the
/// window's first element.
struct Segment {
  std::int64_t offset = 0, pairs = 0;
};

/// Rounding of sums, per channel: t = sum >> first_shift; then, half-up, t >> last_shift plus the
/// bit that this drops. The first shift leaves one bit to round with (none where the whole shift is
/// 0), rest_mask covers what it dropped.
template <typename T>
struct RoundingTable {
  AlignedArray<T> first_shift, last_shift, rest_mask;
  bool half_even = false, relu = false;
};

/// How far a partial sum between two checks can be from the nearer of the sums at both, where the
/// products in between have these magnitudes in total: either those before it or those after it
/// make up no more than half of them.
constexpr std::int64_t largest_excursion(std::int64_t magnitudes) { return (magnitudes + 1) / 2; }

struct ConvPlan {
  ConvGeometry geometry;
  PaddedImage image;
  /// Sums start from the bias and are rounded so: in 32 bits for int8, in 64 for int16.
  RoundingTable<std::int32_t> rounding32;
  RoundingTable<std::int64_t> rounding64;
  AlignedArray<std::int32_t> bias32;
  AlignedArray<std::int64_t> bias64;
  /// Position in the tables above -> output channel, or -1 for one that pads a block.
  std::vector<std::int64_t> channel_at;

  /// The limits of S3's lanes, 2^19 - 1 (int8); int32's own where a channel does not clip.
  AlignedArray<std::int32_t> clip_limit;
  bool clips = false;
  /// The limit of each int8 channel whose saturation is on the books, else 0.
  AlignedArray<std::int32_t> booked_limit;
  /// int16: what |partial sum| may be at two checks so that no product between them can leave a
  /// 40-bit register, and the blocks in which that is not certain beforehand.
  AlignedArray<std::int64_t> check_limit64;
  std::vector<bool> watched;
  /// int16: blocks whose sums stay in 32 bits, those of the high bytes of x in one and those of the
  /// low bytes in another: sum >> 8 = high + bias32 + ((low + low_bias) >> 8), which rounding32
  /// rounds. The bias is 256 * bias32 + low_bias.
  std::vector<bool> is_short;
  AlignedArray<std::int32_t> low_bias;
  /// Per position: sums of the positive weights, of the magnitudes of the negative ones, and the
  /// largest sum of magnitudes over one of `checks`.
  std::vector<std::int64_t> positive, negative, check_magnitude;

  /// Channels whose sums the vector kernels might not hold; the reference computes them.
  std::vector<std::int64_t> reference_channels;

  /// Dense: windows as long runs, and the same cut into pieces after which saturation is checked
  /// (int8) or sums are moved to 64 bits (int16). Weights are [block][pair][16 channels][2].
  std::vector<Segment> runs, checks;
  /// Depthwise: offsets of the taps, padded to an even number. Weights are [block][pair of
  /// taps][64], see depthwise_channel_order().
  std::vector<std::int64_t> taps;
  AlignedArray<std::int16_t> weights;
  std::int64_t block_stride = 0;

  std::int64_t blocks() const {
    return static_cast<std::int64_t>(channel_at.size()) /
           (geometry.depthwise ? kDepthwiseBlock : kBlockChannels);
  }
};

/// Null when the problem has no fast kernel (C's left shifts, depthwise int16 windows of more than
/// 256 taps). `filter` is in logical order [N][KH][KW][C].
std::unique_ptr<ConvPlan> make_plan(const ConvGeometry& geometry, const MacArithmetic& arithmetic,
                                    const Tensor& filter);

}  // namespace espquant::sim
