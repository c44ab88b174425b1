#include "sim/conv_simd.h"

#include <cstring>
#include <limits>

#define HWY_WANT_AVX3_DL
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/conv_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
// Highway asks the machine for VNNI before it chooses this target, but has no operation for it.
#if HWY_COMPILER_CLANG
#pragma clang attribute push(__attribute__((target("avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx512vnni")
#endif
#endif
namespace espquant::sim::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR  // a machine without vectors: the reference serves

bool Available() { return false; }
ValueRange WidenImage(const ConvPlan&, const std::int8_t*, std::int16_t*) { return {}; }
void SplitImage(const ConvPlan&, const std::int16_t*, std::int16_t*, std::int16_t*) {}
void DenseInt8(const ConvPlan&, const std::int16_t*, const std::vector<BlockMode>&,
               const std::int32_t*, std::int8_t*, ClipCount&) {}
void DenseInt16(const ConvPlan&, const std::int16_t*, const std::int16_t*, const std::int64_t*,
                std::int16_t*, std::vector<Suspect>&) {}
void DepthwiseInt8(const ConvPlan&, const std::int16_t*, const std::vector<BlockMode>&,
                   std::int8_t*, ClipCount&) {}
void DepthwiseInt16(const ConvPlan&, const std::int16_t*, const std::int16_t*, std::int16_t*) {}

#else

bool Available() { return true; }

namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<std::int32_t, 16>;
using D16 = hn::Repartition<std::int16_t, D32>;
using D8 = hn::Rebind<std::int8_t, D32>;
using V32 = hn::Vec<D32>;
using V16 = hn::Vec<D16>;

constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(D32()));
/// A tile is as wide as two vectors, or one block where vectors are shorter than half of one.
constexpr std::int64_t kTileBlocks = kLanes == kBlockChannels ? 2 : 1;

/// sum + a[0]*b[0] + a[1]*b[1] per pair of 16-bit lanes.
HWY_INLINE V32 MulAddPairs(V16 a, V16 b, V32 sum) {
#if HWY_TARGET == HWY_AVX3_DL
  return V32{_mm512_dpwssd_epi32(sum.raw, a.raw, b.raw)};
#else
  const D32 d;
  V32 rest = hn::Zero(d);
  const V32 products = hn::ReorderWidenMulAccumulate(d, a, b, hn::Zero(d), rest);
  return hn::Add(sum, hn::RearrangeToOddPlusEven(products, rest));
#endif
}

HWY_INLINE V16 BroadcastPair(const std::int16_t* x) {
  std::int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return hn::BitCast(D16(), hn::Set(D32(), pair));
}

/// Limits a sum to [-limit - 1, limit] and collects in `touched` where that changed it.
HWY_INLINE V32 ClipSum(V32 sum, V32 limit, V32& touched) {
  const V32 clipped = hn::Max(hn::Min(sum, limit), hn::Not(limit));
  touched = hn::Or(touched, hn::Xor(sum, clipped));
  return clipped;
}

/// Sums to output elements, still in 32 bits (RoundingTable).
HWY_INLINE V32 RoundSums(const RoundingTable& table, std::int64_t position, V32 sum) {
  const D32 d;
  const V32 last = hn::Load(d, table.last_shift.data() + position);
  const V32 t = hn::Shr(sum, hn::Load(d, table.first_shift.data() + position));
  V32 y;
  if (table.half_even) {
    const V32 rest = hn::And(sum, hn::Load(d, table.rest_mask.data() + position));
    const V32 sticky = hn::IfThenElseZero(hn::Ne(rest, hn::Zero(d)), last);
    y = hn::Shr(t, last);
    y = hn::Add(y, hn::And(hn::And(t, hn::Or(y, sticky)), last));
  } else {
    y = hn::Shr(hn::Add(t, last), last);
  }
  return table.relu ? hn::Max(y, hn::Zero(d)) : y;
}

/// ---------------------------------------------------------------- dense

/// One tile: kMr output pixels by kNv vectors of channels, starting at `position`.
struct TileArgs {
  const ConvPlan* plan;
  const std::vector<Segment>* segments;
  const std::int16_t* const* pixels;
  std::int64_t position;
  /// Weights of the tile's first block, from the first of `segments` on.
  const std::int16_t* weights;
};

template <int kNv>
HWY_INLINE const std::int16_t* VectorWeights(const TileArgs& args, const std::int16_t* at, int v) {
  const std::int64_t channel = v * kLanes;
  return at + channel / kBlockChannels * args.plan->block_stride + channel % kBlockChannels * 2;
}

/// Adds the products of one segment to the sums.
template <int kMr, int kNv>
HWY_INLINE void AddSegment(const TileArgs& args, const Segment& segment,
                           const std::int16_t* weights, V32 (&sums)[kMr][kNv]) {
  for (std::int64_t k = 0; k < segment.pairs; ++k) {
    V16 w[kNv];
    for (int v = 0; v < kNv; ++v)
      w[v] = hn::Load(D16(), VectorWeights<kNv>(args, weights + k * kBlockChannels * 2, v));
    for (int m = 0; m < kMr; ++m) {
      const V16 x = BroadcastPair(args.pixels[m] + segment.offset + 2 * k);
      for (int v = 0; v < kNv; ++v) sums[m][v] = MulAddPairs(x, w[v], sums[m][v]);
    }
  }
}

template <int kMr, int kNv>
HWY_INLINE void StartFromBias(const TileArgs& args, V32 (&sums)[kMr][kNv]) {
  for (int v = 0; v < kNv; ++v) {
    const V32 bias = hn::Load(D32(), args.plan->bias32.data() + args.position + v * kLanes);
    for (int m = 0; m < kMr; ++m) sums[m][v] = bias;
  }
}

template <int kMr, int kNv>
HWY_INLINE void StoreOutputs(const TileArgs& args, const V32 (&sums)[kMr][kNv], std::int8_t* y) {
  const std::int64_t channels = args.plan->geometry.out_c;
  for (int v = 0; v < kNv; ++v) {
    const std::int64_t position = args.position + v * kLanes;
    const std::int64_t valid = std::min(kLanes, channels - position);
    if (valid <= 0) return;
    for (int m = 0; m < kMr; ++m) {
      const auto bytes = hn::DemoteTo(D8(), RoundSums(args.plan->rounding, position, sums[m][v]));
      std::int8_t* to = y + m * channels + position;
      if (valid == kLanes) {
        hn::StoreU(bytes, D8(), to);
      } else {
        HWY_ALIGN std::int8_t tail[kBlockChannels];
        hn::StoreU(bytes, D8(), tail);
        std::memcpy(to, tail, static_cast<std::size_t>(valid));
      }
    }
  }
}

template <int kMr, int kNv>
HWY_NOINLINE void PlainTile(const TileArgs& args, std::int8_t* y) {
  V32 sums[kMr][kNv];
  StartFromBias(args, sums);
  const std::int16_t* weights = args.weights;
  for (const Segment& segment : *args.segments) {
    AddSegment(args, segment, weights, sums);
    weights += segment.pairs * kBlockChannels * 2;
  }
  StoreOutputs(args, sums, y);
}

/// False when a partial sum might have reached its limit; nothing is stored then.
template <int kMr, int kNv>
HWY_NOINLINE bool CheckedTile(const TileArgs& args, const std::int32_t* check_limit,
                              std::int8_t* y) {
  const D32 d;
  V32 sums[kMr][kNv], peaks[kMr][kNv];
  StartFromBias(args, sums);
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) peaks[m][v] = hn::Abs(sums[m][v]);
  const std::int16_t* weights = args.weights;
  for (const Segment& segment : *args.segments) {
    AddSegment(args, segment, weights, sums);
    weights += segment.pairs * kBlockChannels * 2;
    for (int m = 0; m < kMr; ++m)
      for (int v = 0; v < kNv; ++v) peaks[m][v] = hn::Max(peaks[m][v], hn::Abs(sums[m][v]));
  }
  for (int v = 0; v < kNv; ++v) {
    const V32 limit = hn::Load(d, check_limit + args.position + v * kLanes);
    V32 peak = peaks[0][v];
    for (int m = 1; m < kMr; ++m) peak = hn::Max(peak, peaks[m][v]);
    if (!hn::AllFalse(d, hn::Gt(peak, limit))) return false;
  }
  StoreOutputs(args, sums, y);
  return true;
}

/// Every product, clipped. Returns how many outputs were touched by it.
template <int kMr, int kNv>
HWY_NOINLINE std::int64_t ClippedTile(const TileArgs& args, std::int8_t* y) {
  const D32 d;
  V32 sums[kMr][kNv], touched[kMr][kNv], limits[kNv];
  StartFromBias(args, sums);
  for (int v = 0; v < kNv; ++v)
    limits[v] = hn::Load(d, args.plan->clip_limit.data() + args.position + v * kLanes);
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) touched[m][v] = hn::Zero(d);
  const V16 even = hn::BitCast(D16(), hn::Set(d, 0xFFFF));
  const std::int16_t* weights = args.weights;
  for (const Segment& segment : *args.segments) {
    for (std::int64_t k = 0; k < segment.pairs; ++k, weights += kBlockChannels * 2) {
      for (int v = 0; v < kNv; ++v) {
        const V16 w = hn::Load(D16(), VectorWeights<kNv>(args, weights, v));
        const V16 first = hn::And(w, even), second = hn::AndNot(even, w);
        for (int m = 0; m < kMr; ++m) {
          const V16 x = BroadcastPair(args.pixels[m] + segment.offset + 2 * k);
          sums[m][v] = ClipSum(MulAddPairs(x, first, sums[m][v]), limits[v], touched[m][v]);
          sums[m][v] = ClipSum(MulAddPairs(x, second, sums[m][v]), limits[v], touched[m][v]);
        }
      }
    }
  }
  StoreOutputs(args, sums, y);
  std::int64_t count = 0;
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v)
      count += static_cast<std::int64_t>(hn::CountTrue(d, hn::Ne(touched[m][v], hn::Zero(d))));
  return count;
}

/// Sums of one check's products, [kMr][tile channels] of `sums`.
template <int kMr, int kNv>
HWY_NOINLINE void RawTile(const TileArgs& args, const Segment& segment, std::int32_t* to) {
  V32 sums[kMr][kNv];
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) sums[m][v] = hn::Zero(D32());
  AddSegment(args, segment, args.weights, sums);
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) hn::StoreU(sums[m][v], D32(), to + (m * kNv + v) * kLanes);
}

/// Where the window of each output pixel starts.
class PixelWalk {
 public:
  PixelWalk(const ConvPlan& plan, std::int64_t pixel)
      : out_w_(plan.geometry.out_w),
        step_(plan.geometry.stride_w * plan.geometry.in_c),
        row_(plan.geometry.stride_h * plan.image.width * plan.geometry.in_c),
        x_(pixel % out_w_),
        y_(pixel / out_w_) {}

  std::int64_t next() {
    const std::int64_t offset = y_ * row_ + x_ * step_;
    if (++x_ == out_w_) {
      x_ = 0;
      ++y_;
    }
    return offset;
  }

 private:
  std::int64_t out_w_, step_, row_, x_, y_;
};

constexpr int kMaxMr = 8;

/// Calls run(std::integral_constant<int, kMr>, pixels, first pixel) over tiles of 8, 4, 2 and 1
/// pixels.
template <int kMr, class Run>
HWY_INLINE void WalkTiles(const ConvPlan& plan, const std::int16_t* image, std::int64_t begin,
                          std::int64_t end, const Run& run) {
  PixelWalk walk(plan, begin);
  const std::int16_t* pixels[kMaxMr];
  const auto load = [&](int count) {
    for (int m = 0; m < count; ++m) pixels[m] = image + walk.next();
  };
  std::int64_t p = begin;
  if constexpr (kMr >= 8) {
    for (; p + 8 <= end; p += 8) {
      load(8);
      run(std::integral_constant<int, 8>{}, pixels, p);
    }
  }
  for (; p + 4 <= end; p += 4) {
    load(4);
    run(std::integral_constant<int, 4>{}, pixels, p);
  }
  for (; p < end; ++p) {
    load(1);
    run(std::integral_constant<int, 1>{}, pixels, p);
  }
}

/// Output pixels whose input fits the first half of a usual L2 cache: their inputs are read once
/// per block of channels.
HWY_INLINE std::int64_t PixelsPerPass(const ConvPlan& plan) {
  const ConvGeometry& g = plan.geometry;
  constexpr std::int64_t kCacheBytes = 256 * 1024;
  const std::int64_t bytes_per_pixel = 2 * g.in_c * g.stride_w * g.stride_h;
  return std::max<std::int64_t>(64, kCacheBytes / bytes_per_pixel / 8 * 8);
}

template <int kNv>
HWY_INLINE void DenseBlock(const ConvPlan& plan, const std::int16_t* image, std::int64_t block,
                           BlockMode mode, std::int64_t begin, std::int64_t end,
                           const std::int32_t* check_limit, std::int8_t* y, ClipCount& count) {
  TileArgs args{&plan, &plan.runs, nullptr, block * kBlockChannels,
                plan.weights.data() + block * plan.block_stride};
  const std::int64_t channels = plan.geometry.out_c;
  if (mode == BlockMode::Plain) {
    WalkTiles<8>(plan, image, begin, end,
                 [&](auto mr, const std::int16_t* const* pixels, std::int64_t p) HWY_ATTR {
                   args.pixels = pixels;
                   PlainTile<decltype(mr)::value, kNv>(args, y + p * channels);
                 });
    return;
  }
  WalkTiles<4>(plan, image, begin, end,
               [&](auto mr, const std::int16_t* const* pixels, std::int64_t p) HWY_ATTR {
                 constexpr int kMr = decltype(mr)::value;
                 args.pixels = pixels;
                 args.segments = &plan.checks;
                 if (mode == BlockMode::Checked &&
                     CheckedTile<kMr, kNv>(args, check_limit, y + p * channels))
                   return;
                 args.segments = &plan.runs;
                 count.saturated += ClippedTile<kMr, kNv>(args, y + p * channels);
               });
}

void DenseInt8(const ConvPlan& plan, const std::int16_t* image, const std::vector<BlockMode>& modes,
               const std::int32_t* check_limit, std::int8_t* y, ClipCount& count) {
  constexpr int kOne = static_cast<int>(kBlockChannels / kLanes);
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w, blocks = plan.blocks();
  const std::int64_t pass = PixelsPerPass(plan);
  for (std::int64_t begin = 0; begin < pixels; begin += pass) {
    const std::int64_t end = std::min(begin + pass, pixels);
    for (std::int64_t b = 0; b < blocks;) {
      const BlockMode mode = modes[static_cast<std::size_t>(b)];
      const bool two =
          kTileBlocks == 2 && b + 1 < blocks && modes[static_cast<std::size_t>(b + 1)] == mode;
      if (two) {
        DenseBlock<2 * kOne>(plan, image, b, mode, begin, end, check_limit, y, count);
      } else {
        DenseBlock<kOne>(plan, image, b, mode, begin, end, check_limit, y, count);
      }
      b += two ? 2 : 1;
    }
  }
}

/// ---------------------------------------------------------------- int16, dense

/// 64-bit sums of a tile, moved there from 32-bit sums of the bytes of x.
template <int kCount>
HWY_INLINE void AddBytes(const std::int32_t* high, const std::int32_t* low, std::int64_t* sums,
                         std::int64_t* peaks) {
  for (int i = 0; i < kCount; ++i) {
    sums[i] += std::int64_t{high[i]} * 256 + low[i];
    const std::int64_t size = sums[i] < 0 ? -sums[i] : sums[i];
    peaks[i] = peaks[i] > size ? peaks[i] : size;
  }
}

HWY_INLINE std::int64_t RoundSum64(const RoundingTable& table, std::size_t position,
                                   std::int64_t sum) {
  const int first = table.first_shift[position], last = table.last_shift[position];
  const std::int64_t t = sum >> first;
  std::int64_t y = (t + last) >> last;
  if (table.half_even) {
    const std::int64_t rest = sum & static_cast<std::int64_t>((std::uint64_t{1} << first) - 1);
    y = t >> last;
    y += t & (y | static_cast<std::int64_t>(rest != 0)) & last;
  }
  return table.relu && y < 0 ? 0 : y;
}

HWY_INLINE std::int16_t ClipTo16(std::int64_t v) {
  return static_cast<std::int16_t>(
      std::min<std::int64_t>(32767, std::max<std::int64_t>(-32768, v)));
}

template <int kMr, int kNv>
HWY_NOINLINE void Int16Tile(TileArgs args, const std::int16_t* const* high,
                            const std::int16_t* const* low, std::int64_t pixel,
                            const std::int64_t* check_limit, std::int16_t* y,
                            std::vector<Suspect>& suspects) {
  constexpr int kChannels = static_cast<int>(kNv * kLanes), kCount = kMr * kChannels;
  const ConvPlan& plan = *args.plan;
  HWY_ALIGN std::int32_t high_sums[kCount], low_sums[kCount];
  HWY_ALIGN std::int64_t sums[kCount], peaks[kCount];
  for (int i = 0; i < kCount; ++i) {
    sums[i] = plan.bias64[static_cast<std::size_t>(args.position + i % kChannels)];
    peaks[i] = sums[i] < 0 ? -sums[i] : sums[i];
  }
  for (const Segment& segment : plan.checks) {
    args.pixels = high;
    RawTile<kMr, kNv>(args, segment, high_sums);
    args.pixels = low;
    RawTile<kMr, kNv>(args, segment, low_sums);
    AddBytes<kCount>(high_sums, low_sums, sums, peaks);
    args.weights += segment.pairs * kBlockChannels * 2;
  }
  const std::int64_t out_c = plan.geometry.out_c;
  const auto valid = static_cast<int>(std::min<std::int64_t>(kChannels, out_c - args.position));
  for (int m = 0; m < kMr; ++m) {
    for (int c = 0; c < valid; ++c) {
      const auto position = static_cast<std::size_t>(args.position + c);
      const int i = m * kChannels + c;
      if (peaks[i] > check_limit[position]) suspects.push_back({pixel + m, args.position + c});
      y[(pixel + m) * out_c + args.position + c] =
          ClipTo16(RoundSum64(plan.rounding, position, sums[i]));
    }
  }
}

void DenseInt16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                const std::int64_t* check_limit, std::int16_t* y, std::vector<Suspect>& suspects) {
  constexpr int kOne = static_cast<int>(kBlockChannels / kLanes);
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w, blocks = plan.blocks();
  const std::int64_t pass = PixelsPerPass(plan);
  for (std::int64_t begin = 0; begin < pixels; begin += pass) {
    const std::int64_t end = std::min(begin + pass, pixels);
    for (std::int64_t b = 0; b < blocks; b += kTileBlocks) {
      const TileArgs args{&plan, nullptr, nullptr, b * kBlockChannels,
                          plan.weights.data() + b * plan.block_stride};
      WalkTiles<8>(plan, high, begin, end,
                   [&](auto mr, const std::int16_t* const* tile, std::int64_t p) HWY_ATTR {
                     constexpr int kMr = decltype(mr)::value;
                     const std::int16_t* low_tile[kMr];
                     for (int m = 0; m < kMr; ++m) low_tile[m] = low + (tile[m] - high);
                     if (kTileBlocks == 2 && b + 1 < blocks) {
                       Int16Tile<kMr, 2 * kOne>(args, tile, low_tile, p, check_limit, y, suspects);
                     } else {
                       Int16Tile<kMr, kOne>(args, tile, low_tile, p, check_limit, y, suspects);
                     }
                   });
    }
  }
}

/// ---------------------------------------------------------------- depthwise

/// Channels whose 16-bit elements fill a vector.
constexpr std::int64_t kStep = 2 * kLanes;

struct DepthwiseArgs {
  const ConvPlan* plan;
  const std::int16_t* const* pixels;
  /// First of the channels, and where their lower and upper sums stand in the tables.
  std::int64_t channel, position;
  const std::int16_t* weights;
};

template <int kMr, bool kClip>
HWY_INLINE void DepthwiseSums(const DepthwiseArgs& args, V32 (&lower)[kMr], V32 (&upper)[kMr],
                              V32 (&touched)[2][kMr]) {
  const D32 d;
  const D16 d16;
  const std::int64_t* taps = args.plan->taps.data();
  const auto pairs = static_cast<std::int64_t>(args.plan->taps.size() / 2);
  V32 lower_limit = hn::Zero(d), upper_limit = hn::Zero(d);
  if constexpr (kClip) {
    lower_limit = hn::Load(d, args.plan->clip_limit.data() + args.position);
    upper_limit = hn::Load(d, args.plan->clip_limit.data() + args.position + 16);
  }
  const V16 even = hn::BitCast(d16, hn::Set(d, 0xFFFF));
  for (std::int64_t t = 0; t < pairs; ++t) {
    const std::int16_t* w = args.weights + t * kDepthwiseBlock * 2;
    const V16 w_lower = hn::Load(d16, w), w_upper = hn::Load(d16, w + kDepthwiseBlock);
    for (int m = 0; m < kMr; ++m) {
      const V16 a = hn::LoadU(d16, args.pixels[m] + taps[2 * t] + args.channel);
      const V16 b = hn::LoadU(d16, args.pixels[m] + taps[2 * t + 1] + args.channel);
      const V16 x_lower = hn::InterleaveLower(d16, a, b), x_upper = hn::InterleaveUpper(d16, a, b);
      if constexpr (kClip) {
        lower[m] = ClipSum(MulAddPairs(x_lower, hn::And(w_lower, even), lower[m]), lower_limit,
                           touched[0][m]);
        lower[m] = ClipSum(MulAddPairs(x_lower, hn::AndNot(even, w_lower), lower[m]), lower_limit,
                           touched[0][m]);
        upper[m] = ClipSum(MulAddPairs(x_upper, hn::And(w_upper, even), upper[m]), upper_limit,
                           touched[1][m]);
        upper[m] = ClipSum(MulAddPairs(x_upper, hn::AndNot(even, w_upper), upper[m]), upper_limit,
                           touched[1][m]);
      } else {
        lower[m] = MulAddPairs(x_lower, w_lower, lower[m]);
        upper[m] = MulAddPairs(x_upper, w_upper, upper[m]);
      }
    }
  }
}

template <int kMr, bool kClip>
HWY_NOINLINE std::int64_t DepthwiseTile8(const DepthwiseArgs& args, std::int8_t* y) {
  const D32 d;
  const hn::Rebind<std::int8_t, D16> d8;
  const ConvPlan& plan = *args.plan;
  V32 lower[kMr], upper[kMr], touched[2][kMr];
  for (int m = 0; m < kMr; ++m) {
    lower[m] = hn::Load(d, plan.bias32.data() + args.position);
    upper[m] = hn::Load(d, plan.bias32.data() + args.position + 16);
    touched[0][m] = touched[1][m] = hn::Zero(d);
  }
  DepthwiseSums<kMr, kClip>(args, lower, upper, touched);
  const std::int64_t channels = plan.geometry.out_c;
  const std::int64_t valid = std::min(kStep, channels - args.channel);
  for (int m = 0; m < kMr; ++m) {
    const V16 words = hn::ReorderDemote2To(D16(), RoundSums(plan.rounding, args.position, lower[m]),
                                           RoundSums(plan.rounding, args.position + 16, upper[m]));
    const auto bytes = hn::DemoteTo(d8, words);
    std::int8_t* to = y + m * channels + args.channel;
    if (valid == kStep) {
      hn::StoreU(bytes, d8, to);
    } else {
      HWY_ALIGN std::int8_t tail[kDepthwiseBlock];
      hn::StoreU(bytes, d8, tail);
      std::memcpy(to, tail, static_cast<std::size_t>(valid));
    }
  }
  std::int64_t count = 0;
  if constexpr (kClip) {
    for (const auto& half : touched)
      for (const V32 t : half)
        count += static_cast<std::int64_t>(hn::CountTrue(d, hn::Ne(t, hn::Zero(d))));
  }
  return count;
}

/// Calls run(args) for every group of kStep channels.
template <class Run>
HWY_INLINE void WalkChannels(const ConvPlan& plan, const std::int16_t* const* pixels,
                             const Run& run) {
  for (std::int64_t c = 0; c < plan.geometry.out_c; c += kStep) {
    const std::int64_t block = c / kDepthwiseBlock, within = c % kDepthwiseBlock;
    run(DepthwiseArgs{&plan, pixels, c, block * kDepthwiseBlock + within / 2,
                      plan.weights.data() + block * plan.block_stride + within});
  }
}

void DepthwiseInt8(const ConvPlan& plan, const std::int16_t* image,
                   const std::vector<BlockMode>& modes, std::int8_t* y, ClipCount& count) {
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w;
  WalkTiles<4>(
      plan, image, 0, pixels,
      [&](auto mr, const std::int16_t* const* tile, std::int64_t p) HWY_ATTR {
        constexpr int kMr = decltype(mr)::value;
        WalkChannels(plan, tile, [&](const DepthwiseArgs& args) HWY_ATTR {
          std::int8_t* to = y + p * plan.geometry.out_c;
          if (modes[static_cast<std::size_t>(args.channel / kDepthwiseBlock)] == BlockMode::Plain) {
            DepthwiseTile8<kMr, false>(args, to);
          } else {
            count.saturated += DepthwiseTile8<kMr, true>(args, to);
          }
        });
      });
}

HWY_INLINE void DepthwiseRaw(const DepthwiseArgs& args, std::int32_t* to) {
  V32 lower[1] = {hn::Zero(D32())}, upper[1] = {hn::Zero(D32())}, touched[2][1];
  DepthwiseSums<1, false>(args, lower, upper, touched);
  hn::StoreU(lower[0], D32(), to);
  hn::StoreU(upper[0], D32(), to + kLanes);
}

void DepthwiseInt16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                    std::int16_t* y) {
  const std::int64_t out_c = plan.geometry.out_c;
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w;
  PixelWalk walk(plan, 0);
  for (std::int64_t p = 0; p < pixels; ++p) {
    const std::int64_t offset = walk.next();
    const std::int16_t* high_pixel = high + offset;
    const std::int16_t* low_pixel = low + offset;
    WalkChannels(plan, &high_pixel, [&](DepthwiseArgs args) HWY_ATTR {
      HWY_ALIGN std::int32_t high_sums[kStep], low_sums[kStep];
      DepthwiseRaw(args, high_sums);
      args.pixels = &low_pixel;
      DepthwiseRaw(args, low_sums);
      for (std::int64_t i = 0; i < kStep; ++i) {
        const auto position =
            static_cast<std::size_t>(args.position + i % kLanes + i / kLanes * 16);
        const std::int64_t channel = plan.channel_at[position];
        if (channel < 0) continue;
        const std::int64_t sum =
            plan.bias64[position] + std::int64_t{high_sums[i]} * 256 + low_sums[i];
        y[p * out_c + channel] = ClipTo16(RoundSum64(plan.rounding, position, sum));
      }
    });
  }
}

/// ---------------------------------------------------------------- images

/// Calls copy(from, to, elements) for the part of every row that lies on the image, and clears the
/// rest.
template <typename T, class Copy, class Clear>
HWY_INLINE void FillImage(const ConvPlan& plan, const T* x, const Copy& copy, const Clear& clear) {
  const ConvGeometry& g = plan.geometry;
  const std::int64_t row = plan.image.width * g.in_c;
  const std::int64_t left = g.pad_left, right = std::min(plan.image.width, left + g.in_w);
  for (std::int64_t r = 0; r < plan.image.height; ++r) {
    const std::int64_t iy = r - g.pad_top;
    if (iy < 0 || iy >= g.in_h || right <= left) {
      clear(r * row, row);
      continue;
    }
    clear(r * row, left * g.in_c);
    copy(x + iy * g.in_w * g.in_c, r * row + left * g.in_c, (right - left) * g.in_c);
    clear(r * row + right * g.in_c, row - right * g.in_c);
  }
  clear(plan.image.height * row, plan.image.size - plan.image.height * row);
}

ValueRange WidenImage(const ConvPlan& plan, const std::int8_t* x, std::int16_t* image) {
  const hn::Rebind<std::int8_t, D16> d8;
  const D16 d16;
  V16 lo = hn::Zero(d16), hi = hn::Zero(d16);
  const auto copy = [&](const std::int8_t* from, std::int64_t to, std::int64_t count) HWY_ATTR {
    std::int64_t i = 0;
    for (; i + kStep <= count; i += kStep) {
      const V16 v = hn::PromoteTo(d16, hn::LoadU(d8, from + i));
      lo = hn::Min(lo, v);
      hi = hn::Max(hi, v);
      hn::StoreU(v, d16, image + to + i);
    }
    for (; i < count; ++i) {
      image[to + i] = from[i];
      lo = hn::Min(lo, hn::Set(d16, from[i]));
      hi = hn::Max(hi, hn::Set(d16, from[i]));
    }
  };
  const auto clear = [&](std::int64_t at, std::int64_t count) HWY_ATTR {
    std::memset(image + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
  };
  FillImage(plan, x, copy, clear);
  return {hn::GetLane(hn::MinOfLanes(d16, lo)), hn::GetLane(hn::MaxOfLanes(d16, hi))};
}

void SplitImage(const ConvPlan& plan, const std::int16_t* x, std::int16_t* high,
                std::int16_t* low) {
  const auto copy = [&](const std::int16_t* from, std::int64_t to, std::int64_t count) HWY_ATTR {
    for (std::int64_t i = 0; i < count; ++i) {
      high[to + i] = static_cast<std::int16_t>(from[i] >> 8);
      low[to + i] = static_cast<std::int16_t>(from[i] & 255);
    }
  };
  const auto clear = [&](std::int64_t at, std::int64_t count) HWY_ATTR {
    std::memset(high + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
    std::memset(low + at, 0, static_cast<std::size_t>(count) * sizeof(std::int16_t));
  };
  FillImage(plan, x, copy, clear);
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace espquant::sim::HWY_NAMESPACE
#if HWY_TARGET == HWY_AVX3_DL && HWY_COMPILER_CLANG
#pragma clang attribute pop
#endif
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espquant::sim {

HWY_EXPORT(Available);
HWY_EXPORT(WidenImage);
HWY_EXPORT(SplitImage);
HWY_EXPORT(DenseInt8);
HWY_EXPORT(DenseInt16);
HWY_EXPORT(DepthwiseInt8);
HWY_EXPORT(DepthwiseInt16);

bool vector_kernels_available() { return HWY_DYNAMIC_DISPATCH(Available)(); }

ValueRange widen_image(const ConvPlan& plan, const std::int8_t* x, std::int16_t* image) {
  return HWY_DYNAMIC_DISPATCH(WidenImage)(plan, x, image);
}

void split_image(const ConvPlan& plan, const std::int16_t* x, std::int16_t* high,
                 std::int16_t* low) {
  HWY_DYNAMIC_DISPATCH(SplitImage)(plan, x, high, low);
}

void dense_int8(const ConvPlan& plan, const std::int16_t* image,
                const std::vector<BlockMode>& modes, const std::int32_t* check_limit,
                std::int8_t* y, ClipCount& count) {
  HWY_DYNAMIC_DISPATCH(DenseInt8)(plan, image, modes, check_limit, y, count);
}

void dense_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                 const std::int64_t* check_limit, std::int16_t* y, std::vector<Suspect>& suspects) {
  HWY_DYNAMIC_DISPATCH(DenseInt16)(plan, high, low, check_limit, y, suspects);
}

void depthwise_int8(const ConvPlan& plan, const std::int16_t* image,
                    const std::vector<BlockMode>& modes, std::int8_t* y, ClipCount& count) {
  HWY_DYNAMIC_DISPATCH(DepthwiseInt8)(plan, image, modes, y, count);
}

void depthwise_int16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                     std::int16_t* y) {
  HWY_DYNAMIC_DISPATCH(DepthwiseInt16)(plan, high, low, y);
}

}  // namespace espquant::sim
#endif
