// Part of conv_simd.cpp, which includes it once per instruction set, inside that set's namespace.
// What all the kernels share: vector types, products, rounding, the walk over output pixels.

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

/// Limits a sum to [-limit - 1, limit] and, when it is asked to count, collects in `touched` where
/// that changed it.
template <bool kCount>
HWY_INLINE V32 ClipSum(V32 sum, V32 limit, V32& touched) {
  const V32 clipped = hn::Max(hn::Min(sum, limit), hn::Not(limit));
  if constexpr (kCount) touched = hn::Or(touched, hn::Xor(sum, clipped));
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

/// Channels whose 16-bit elements fill a vector.
constexpr std::int64_t kStep = 2 * kLanes;

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
