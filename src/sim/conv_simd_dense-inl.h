// Part of conv_simd.cpp, which includes it once per instruction set, inside that set's namespace.
// Dense convolutions: tiles of output pixels by channels, summed in registers.

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
      const V32 y32 = RoundSums(D32(), args.plan->rounding32, position, sums[m][v]);
      StoreFirst(D8(), hn::DemoteTo(D8(), y32), valid, y + m * channels + position);
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

/// Every product, clipped. Returns how many outputs were touched by it (0 when it does not count).
template <int kMr, int kNv, bool kCount>
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
          sums[m][v] = ClipSum<kCount>(MulAddPairs(x, first, sums[m][v]), limits[v], touched[m][v]);
          sums[m][v] =
              ClipSum<kCount>(MulAddPairs(x, second, sums[m][v]), limits[v], touched[m][v]);
        }
      }
    }
  }
  StoreOutputs(args, sums, y);
  if constexpr (!kCount) return 0;
  std::int64_t count = 0;
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v)
      count += static_cast<std::int64_t>(hn::CountTrue(d, hn::Ne(touched[m][v], hn::Zero(d))));
  return count;
}

/// Sums that are not clipped, with the books of their peaks. False when one passed its limit.
template <int kMr, int kNv>
HWY_NOINLINE bool TracedTile(const TileArgs& args, std::int8_t* y, Workspace::Saturation& books) {
  const D32 d;
  V32 sums[kMr][kNv], peaks[kMr][kNv];
  StartFromBias(args, sums);
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) peaks[m][v] = Magnitude(sums[m][v]);
  const V16 even = hn::BitCast(D16(), hn::Set(d, 0xFFFF));
  const std::int16_t* weights = args.weights;
  for (const Segment& segment : *args.segments) {
    for (std::int64_t k = 0; k < segment.pairs; ++k, weights += kBlockChannels * 2) {
      for (int v = 0; v < kNv; ++v) {
        const V16 w = hn::Load(D16(), VectorWeights<kNv>(args, weights, v));
        for (int m = 0; m < kMr; ++m) {
          const V16 x = BroadcastPair(args.pixels[m] + segment.offset + 2 * k);
          const V32 first = MulAddPairs(x, hn::And(w, even), sums[m][v]);
          sums[m][v] = MulAddPairs(x, hn::AndNot(even, w), first);
          peaks[m][v] = hn::Max(peaks[m][v], hn::Max(Magnitude(first), Magnitude(sums[m][v])));
        }
      }
    }
  }
  StoreOutputs(args, sums, y);
  bool inside = true;
  for (int v = 0; v < kNv; ++v) {
    const std::int64_t position = args.position + v * kLanes;
    const V32 limit = hn::Load(d, args.plan->clip_limit.data() + position);
    for (int m = 0; m < kMr; ++m) {
      AddToBooks(*args.plan, position, peaks[m][v], books);
      inside = inside && hn::AllFalse(d, hn::Gt(peaks[m][v], limit));
    }
  }
  return inside;
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
                           const std::int32_t* check_limit, std::int8_t* y,
                           Workspace::Saturation* books) {
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
                 if (mode == BlockMode::Traced) {
                   if (!TracedTile<kMr, kNv>(args, y + p * channels, *books))
                     ClippedTile<kMr, kNv, false>(args, y + p * channels);
                 } else if (books != nullptr) {
                   books->saturated += ClippedTile<kMr, kNv, true>(args, y + p * channels);
                 } else {
                   ClippedTile<kMr, kNv, false>(args, y + p * channels);
                 }
               });
}

void DenseInt8(const ConvPlan& plan, const std::int16_t* image, const std::vector<BlockMode>& modes,
               const std::int32_t* check_limit, std::int8_t* y, Workspace::Saturation* books) {
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
        DenseBlock<2 * kOne>(plan, image, b, mode, begin, end, check_limit, y, books);
      } else {
        DenseBlock<kOne>(plan, image, b, mode, begin, end, check_limit, y, books);
      }
      b += two ? 2 : 1;
    }
  }
}

template <int kMr, int kNv>
HWY_INLINE void ListSuspects(const TileArgs& args, const std::int64_t* peaks, std::int64_t pixel,
                             std::int64_t channels, std::vector<Suspect>& suspects) {
  for (int m = 0; m < kMr; ++m)
    for (std::int64_t c = 0; c < channels; ++c)
      if (peaks[m * kNv * kLanes + c] >
          args.plan->check_limit64[static_cast<std::size_t>(args.position + c)])
        suspects.push_back({pixel + m, args.position + c});
}

/// Sums of bytes, moved to 64 bits at every check. kWatch: lists the outputs whose register might
/// have clipped.
template <int kMr, int kNv, bool kWatch>
HWY_NOINLINE void Int16Tile(TileArgs args, const std::int16_t* const* high,
                            const std::int16_t* const* low, std::int64_t pixel, std::int16_t* y,
                            std::vector<Suspect>& suspects) {
  const D64 d64;
  const H32 half;
  constexpr std::int64_t kChannels = kNv * kLanes, kCount = kMr * kChannels, kHalf = kLanes / 2;
  const ConvPlan& plan = *args.plan;
  HWY_ALIGN std::int32_t high_sums[kCount], low_sums[kCount];
  HWY_ALIGN std::int64_t sums[kCount], peaks[kWatch ? kCount : 1];
  const auto watch = [&](std::int64_t i, V64 sum) HWY_ATTR {
    hn::Store(hn::Max(hn::Load(d64, peaks + i), hn::Max(sum, hn::Neg(sum))), d64, peaks + i);
  };
  for (std::int64_t i = 0; i < kCount; i += kHalf) {
    const V64 bias = hn::Load(d64, plan.bias64.data() + args.position + i % kChannels);
    hn::Store(bias, d64, sums + i);
    if constexpr (kWatch) {
      hn::Store(hn::Zero(d64), d64, peaks + i);
      watch(i, bias);
    }
  }
  for (const Segment& segment : plan.checks) {
    args.pixels = high;
    RawTile<kMr, kNv>(args, segment, high_sums);
    args.pixels = low;
    RawTile<kMr, kNv>(args, segment, low_sums);
    args.weights += segment.pairs * kBlockChannels * 2;
    for (std::int64_t i = 0; i < kCount; i += kHalf) {
      const V64 sum = AddBytes(hn::Load(d64, sums + i), hn::Load(half, high_sums + i),
                               hn::Load(half, low_sums + i));
      hn::Store(sum, d64, sums + i);
      if constexpr (kWatch) watch(i, sum);
    }
  }
  const std::int64_t out_c = plan.geometry.out_c;
  const hn::Rebind<std::int16_t, D32> d16;
  for (std::int64_t i = 0; i < kCount; i += kLanes) {
    const std::int64_t position = args.position + i % kChannels;
    if (position >= out_c) continue;
    const V32 words = RoundToInt16(plan.rounding64, position, hn::Load(d64, sums + i),
                                   hn::Load(d64, sums + i + kHalf));
    StoreFirst(d16, hn::DemoteTo(d16, words), out_c - position,
               y + (pixel + i / kChannels) * out_c + position);
  }
  if constexpr (kWatch)
    ListSuspects<kMr, kNv>(args, peaks, pixel, std::min(kChannels, out_c - args.position),
                           suspects);
}

/// Short sums: both bytes at once, no check.
template <int kMr, int kNv>
HWY_NOINLINE void ShortTile(const TileArgs& args, const std::int16_t* const* low, std::int16_t* y) {
  const D32 d;
  V32 high_sums[kMr][kNv], low_sums[kMr][kNv];
  for (int m = 0; m < kMr; ++m)
    for (int v = 0; v < kNv; ++v) high_sums[m][v] = low_sums[m][v] = hn::Zero(d);
  const std::int16_t* weights = args.weights;
  for (const Segment& segment : args.plan->runs) {
    for (std::int64_t k = 0; k < segment.pairs; ++k, weights += kBlockChannels * 2) {
      V16 w[kNv];
      for (int v = 0; v < kNv; ++v) w[v] = hn::Load(D16(), VectorWeights<kNv>(args, weights, v));
      for (int m = 0; m < kMr; ++m) {
        const std::int64_t at = segment.offset + 2 * k;
        const V16 high = BroadcastPair(args.pixels[m] + at), bytes = BroadcastPair(low[m] + at);
        for (int v = 0; v < kNv; ++v) {
          high_sums[m][v] = MulAddPairs(high, w[v], high_sums[m][v]);
          low_sums[m][v] = MulAddPairs(bytes, w[v], low_sums[m][v]);
        }
      }
    }
  }
  const std::int64_t channels = args.plan->geometry.out_c;
  const hn::Rebind<std::int16_t, D32> d16;
  for (int v = 0; v < kNv; ++v) {
    const std::int64_t position = args.position + v * kLanes;
    if (position >= channels) return;
    for (int m = 0; m < kMr; ++m)
      StoreFirst(
          d16,
          hn::DemoteTo(d16, RoundShortSums(*args.plan, position, high_sums[m][v], low_sums[m][v])),
          channels - position, y + m * channels + position);
  }
}

/// How the 16-bit sums of a block of channels are made.
enum class WideMode : std::uint8_t { Short, Plain, Watched };

WideMode WideModeOf(const ConvPlan& plan, std::int64_t block) {
  const auto b = static_cast<std::size_t>(block);
  if (plan.is_short[b]) return WideMode::Short;
  return plan.watched[b] ? WideMode::Watched : WideMode::Plain;
}

/// A block, or two of them, over the output pixels [begin, end).
template <int kNv, WideMode kMode>
HWY_INLINE void Int16Block(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                           std::int64_t block, std::int64_t begin, std::int64_t end,
                           std::int16_t* y, std::vector<Suspect>& suspects) {
  TileArgs args{&plan, nullptr, nullptr, block * kBlockChannels,
                plan.weights.data() + block * plan.block_stride};
  // Two sums per output fill the registers with half the pixels.
  constexpr int kMost = kMode == WideMode::Short ? 4 : 8;
  WalkByteTiles<kMost>(plan, high, low, begin, end,
                       [&](auto mr, const std::int16_t* const* high_tile,
                           const std::int16_t* const* low_tile, std::int64_t p) HWY_ATTR {
                         constexpr int kMr = decltype(mr)::value;
                         if constexpr (kMode == WideMode::Short) {
                           args.pixels = high_tile;
                           ShortTile<kMr, kNv>(args, low_tile, y + p * plan.geometry.out_c);
                         } else {
                           Int16Tile<kMr, kNv, kMode == WideMode::Watched>(
                               args, high_tile, low_tile, p, y, suspects);
                         }
                       });
}

void DenseInt16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                std::int16_t* y, std::vector<Suspect>& suspects) {
  constexpr int kOne = static_cast<int>(kBlockChannels / kLanes);
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w, blocks = plan.blocks();
  const std::int64_t pass = PixelsPerPass(plan);
  for (std::int64_t begin = 0; begin < pixels; begin += pass) {
    const std::int64_t end = std::min(begin + pass, pixels);
    for (std::int64_t b = 0; b < blocks;) {
      using enum WideMode;
      const WideMode mode = WideModeOf(plan, b);
      const bool two =
          kTileBlocks == 2 && mode != Watched && b + 1 < blocks && WideModeOf(plan, b + 1) == mode;
      if (mode == Watched)
        Int16Block<kOne, Watched>(plan, high, low, b, begin, end, y, suspects);
      else if (mode == Short && two)
        Int16Block<2 * kOne, Short>(plan, high, low, b, begin, end, y, suspects);
      else if (mode == Short)
        Int16Block<kOne, Short>(plan, high, low, b, begin, end, y, suspects);
      else if (two)
        Int16Block<2 * kOne, Plain>(plan, high, low, b, begin, end, y, suspects);
      else
        Int16Block<kOne, Plain>(plan, high, low, b, begin, end, y, suspects);
      b += two ? 2 : 1;
    }
  }
}
