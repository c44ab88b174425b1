// Part of conv_simd.cpp, which includes it once per instruction set, inside that set's namespace.
// What all the kernels share: vector types, products, rounding, the walk over output pixels.

namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<std::int32_t, 16>;
using D16 = hn::Repartition<std::int16_t, D32>;
using D8 = hn::Rebind<std::int8_t, D32>;
using D64 = hn::Repartition<std::int64_t, D32>;
using H32 = hn::Half<D32>;
using V32 = hn::Vec<D32>;
using V64 = hn::Vec<D64>;
using V16 = hn::Vec<D16>;

constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(D32()));
/// A tile is as wide as two vectors, or one block where vectors are shorter than half of one.
constexpr std::int64_t kTileBlocks = kLanes == kBlockChannels ? 2 : 1;

/// sum + a[0]*b[0] + a[1]*b[1] per pair of 16-bit lanes.
HWY_INLINE V32 MulAddPairs(V16 a, V16 b, V32 sum) {
#ifdef ESPQUANT_HAVE_VNNI
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

/// v, or -v - 1 of a negative v: within the limit exactly when the sum is.
HWY_INLINE V32 Magnitude(V32 v) { return hn::Xor(v, hn::ShiftRight<31>(v)); }

/// Adds the outputs of one vector of channels to the books.
HWY_INLINE void AddToBooks(const ConvPlan& plan, std::int64_t position, V32 peaks,
                           Workspace::Saturation& books) {
  HWY_ALIGN std::int32_t magnitudes[kLanes];
  hn::Store(peaks, D32(), magnitudes);
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    const std::int32_t limit = plan.booked_limit[static_cast<std::size_t>(position + lane)];
    if (limit != 0) books.add(magnitudes[lane], limit);
  }
}

/// Sums to output elements, before they are clipped to their width (RoundingTable). D is D32 or
/// D64.
template <class D>
HWY_INLINE hn::Vec<D> RoundSums(D d, const RoundingTable<hn::TFromD<D>>& table,
                                std::int64_t position, hn::Vec<D> sum) {
  using V = hn::Vec<D>;
  const V last = hn::Load(d, table.last_shift.data() + position);
  const V t = hn::Shr(sum, hn::Load(d, table.first_shift.data() + position));
  V y = hn::Shr(t, last);
  // Not (t + last) >> last: C's sums may be the largest that a lane holds.
  V up = hn::And(t, last);
  if (table.half_even) {
    const V rest = hn::And(sum, hn::Load(d, table.rest_mask.data() + position));
    const V sticky = hn::IfThenElseZero(hn::Ne(rest, hn::Zero(d)), last);
    up = hn::And(up, hn::Or(y, sticky));
  }
  y = hn::Add(y, up);
  return table.relu ? hn::Max(y, hn::Zero(d)) : y;
}

/// sum + 256 * high + low, of halves of 32-bit sums of the bytes of x.
HWY_INLINE V64 AddBytes(V64 sum, hn::Vec<H32> high, hn::Vec<H32> low) {
  const D64 d;
  return hn::Add(hn::Add(sum, hn::PromoteTo(d, low)), hn::ShiftLeft<8>(hn::PromoteTo(d, high)));
}

/// Rounds 64-bit sums of kLanes channels to 32-bit lanes within the range of int16.
HWY_INLINE V32 RoundToInt16(const RoundingTable<std::int64_t>& table, std::int64_t position,
                            V64 lower, V64 upper) {
  const D64 d;
  const hn::RebindToUnsigned<H32> half;
  const auto narrow = [&](V64 sum, std::int64_t at) HWY_ATTR {
    const V64 y =
        hn::Max(hn::Min(RoundSums(d, table, at, sum), hn::Set(d, 32767)), hn::Set(d, -32768));
    return hn::BitCast(H32(), hn::TruncateTo(half, hn::BitCast(hn::RebindToUnsigned<D64>(), y)));
  };
  return hn::Combine(D32(), narrow(upper, position + kLanes / 2), narrow(lower, position));
}

/// Rounds short sums (ConvPlan::is_short) of kLanes channels.
HWY_INLINE V32 RoundShortSums(const ConvPlan& plan, std::int64_t position, V32 high, V32 low) {
  const D32 d;
  const V32 bytes = hn::Add(low, hn::Load(d, plan.low_bias.data() + position));
  V32 sum =
      hn::Add(hn::Add(high, hn::Load(d, plan.bias32.data() + position)), hn::ShiftRight<8>(bytes));
  if (plan.rounding32.half_even) {
    const V32 rest = hn::And(bytes, hn::Set(d, 255));
    sum = hn::Or(sum, hn::IfThenElseZero(hn::Ne(rest, hn::Zero(d)), hn::Set(d, 1)));
  }
  return RoundSums(d, plan.rounding32, position, sum);
}

/// Channels whose 16-bit elements fill a vector.
constexpr std::int64_t kStep = 2 * kLanes;

/// Stores the first `valid` lanes.
template <class D>
HWY_INLINE void StoreFirst(D d, hn::Vec<D> v, std::int64_t valid, hn::TFromD<D>* to) {
  if (valid >= static_cast<std::int64_t>(hn::Lanes(d))) return hn::StoreU(v, d, to);
  HWY_ALIGN hn::TFromD<D> tail[hn::MaxLanes(D())];
  hn::Store(v, d, tail);
  std::memcpy(to, tail, static_cast<std::size_t>(valid) * sizeof(hn::TFromD<D>));
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

/// The same over the images of the high and of the low bytes: run(.., high pixels, low pixels,
/// first pixel).
template <int kMr, class Run>
HWY_INLINE void WalkByteTiles(const ConvPlan& plan, const std::int16_t* high,
                              const std::int16_t* low, std::int64_t begin, std::int64_t end,
                              const Run& run) {
  WalkTiles<kMr>(plan, high, begin, end,
                 [&](auto mr, const std::int16_t* const* pixels, std::int64_t p) HWY_ATTR {
                   const std::int16_t* low_pixels[decltype(mr)::value];
                   for (int m = 0; m < decltype(mr)::value; ++m)
                     low_pixels[m] = low + (pixels[m] - high);
                   run(mr, pixels, low_pixels, p);
                 });
}
