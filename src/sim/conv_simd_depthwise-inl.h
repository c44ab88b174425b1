// Part of conv_simd.cpp, which includes it once per instruction set, inside that set's namespace.
// Depthwise convolutions: vectors of channels, two taps at a time.

/// Traced: sums that are not clipped, and their peaks.
enum class DepthwiseMode { Plain, Clipped, Counted, Traced };

struct DepthwiseArgs {
  const ConvPlan* plan;
  const std::int16_t* const* pixels;
  /// First of the channels, and where their lower and upper sums stand in the tables.
  std::int64_t channel, position;
  const std::int16_t* weights;
};

/// `touched` receives what a mode asks for: where a clip changed a sum (Counted), or the peaks
/// (Traced).
template <int kMr, DepthwiseMode kMode>
HWY_INLINE void DepthwiseSums(const DepthwiseArgs& args, V32 (&lower)[kMr], V32 (&upper)[kMr],
                              V32 (&touched)[2][kMr]) {
  constexpr bool kCount = kMode == DepthwiseMode::Counted;
  const D32 d;
  const D16 d16;
  const std::int64_t* taps = args.plan->taps.data();
  const auto pairs = static_cast<std::int64_t>(args.plan->taps.size() / 2);
  V32 lower_limit = hn::Zero(d), upper_limit = hn::Zero(d);
  if constexpr (kMode != DepthwiseMode::Plain) {
    lower_limit = hn::Load(d, args.plan->clip_limit.data() + args.position);
    upper_limit = hn::Load(d, args.plan->clip_limit.data() + args.position + 16);
  }
  const V16 even = hn::BitCast(d16, hn::Set(d, 0xFFFF));
  const auto step = [&](V16 x, V16 w, V32 limit, V32& sum, V32& touch) HWY_ATTR {
    sum = MulAddPairs(x, w, sum);
    if constexpr (kMode == DepthwiseMode::Traced) {
      touch = hn::Max(touch, Magnitude(sum));
    } else {
      sum = ClipSum<kCount>(sum, limit, touch);
    }
  };
  for (std::int64_t t = 0; t < pairs; ++t) {
    const std::int16_t* w = args.weights + t * kDepthwiseBlock * 2;
    const V16 w_lower = hn::Load(d16, w), w_upper = hn::Load(d16, w + kDepthwiseBlock);
    for (int m = 0; m < kMr; ++m) {
      const V16 a = hn::LoadU(d16, args.pixels[m] + taps[2 * t] + args.channel);
      const V16 b = hn::LoadU(d16, args.pixels[m] + taps[2 * t + 1] + args.channel);
      const V16 x_lower = hn::InterleaveLower(d16, a, b), x_upper = hn::InterleaveUpper(d16, a, b);
      if constexpr (kMode != DepthwiseMode::Plain) {
        step(x_lower, hn::And(w_lower, even), lower_limit, lower[m], touched[0][m]);
        step(x_lower, hn::AndNot(even, w_lower), lower_limit, lower[m], touched[0][m]);
        step(x_upper, hn::And(w_upper, even), upper_limit, upper[m], touched[1][m]);
        step(x_upper, hn::AndNot(even, w_upper), upper_limit, upper[m], touched[1][m]);
      } else {
        lower[m] = MulAddPairs(x_lower, w_lower, lower[m]);
        upper[m] = MulAddPairs(x_upper, w_upper, upper[m]);
      }
    }
  }
}

/// True unless Traced sums passed a limit.
template <int kMr, DepthwiseMode kMode>
HWY_NOINLINE bool DepthwiseTile8(const DepthwiseArgs& args, std::int8_t* y,
                                 Workspace::Saturation* books) {
  const D32 d;
  const hn::Rebind<std::int8_t, D16> d8;
  const ConvPlan& plan = *args.plan;
  V32 lower[kMr], upper[kMr], touched[2][kMr];
  for (int m = 0; m < kMr; ++m) {
    lower[m] = hn::Load(d, plan.bias32.data() + args.position);
    upper[m] = hn::Load(d, plan.bias32.data() + args.position + 16);
    constexpr bool kTraced = kMode == DepthwiseMode::Traced;
    touched[0][m] = kTraced ? Magnitude(lower[m]) : hn::Zero(d);
    touched[1][m] = kTraced ? Magnitude(upper[m]) : hn::Zero(d);
  }
  DepthwiseSums<kMr, kMode>(args, lower, upper, touched);
  const std::int64_t channels = plan.geometry.out_c;
  const std::int64_t valid = std::min(kStep, channels - args.channel);
  for (int m = 0; m < kMr; ++m) {
    const V16 words =
        hn::ReorderDemote2To(D16(), RoundSums(d, plan.rounding32, args.position, lower[m]),
                             RoundSums(d, plan.rounding32, args.position + 16, upper[m]));
    StoreFirst(d8, hn::DemoteTo(d8, words), valid, y + m * channels + args.channel);
  }
  bool inside = true;
  for (int upper_half = 0; upper_half < 2; ++upper_half) {
    const std::int64_t position = args.position + 16 * upper_half;
    for (int m = 0; m < kMr; ++m) {
      const V32 found = touched[upper_half][m];
      if constexpr (kMode == DepthwiseMode::Counted)
        books->saturated += static_cast<std::int64_t>(hn::CountTrue(d, hn::Ne(found, hn::Zero(d))));
      if constexpr (kMode == DepthwiseMode::Traced) {
        AddToBooks(plan, position, found, *books);
        const V32 limit = hn::Load(d, plan.clip_limit.data() + position);
        inside = inside && hn::AllFalse(d, hn::Gt(found, limit));
      }
    }
  }
  return inside;
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

/// One tile in the mode of its block of channels.
template <int kMr>
HWY_INLINE void RunDepthwiseTile8(const DepthwiseArgs& args, BlockMode mode, std::int8_t* y,
                                  Workspace::Saturation* books) {
  using enum DepthwiseMode;
  if (mode == BlockMode::Plain) {
    DepthwiseTile8<kMr, Plain>(args, y, nullptr);
  } else if (mode == BlockMode::Traced) {
    if (!DepthwiseTile8<kMr, Traced>(args, y, books))
      DepthwiseTile8<kMr, Clipped>(args, y, nullptr);
  } else if (books == nullptr) {
    DepthwiseTile8<kMr, Clipped>(args, y, nullptr);
  } else {
    DepthwiseTile8<kMr, Counted>(args, y, books);
  }
}

void DepthwiseInt8(const ConvPlan& plan, const std::int16_t* image,
                   const std::vector<BlockMode>& modes, std::int8_t* y,
                   Workspace::Saturation* books) {
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w;
  WalkTiles<4>(plan, image, 0, pixels,
               [&](auto mr, const std::int16_t* const* tile, std::int64_t p) HWY_ATTR {
                 WalkChannels(plan, tile, [&](const DepthwiseArgs& args) HWY_ATTR {
                   RunDepthwiseTile8<decltype(mr)::value>(
                       args, modes[static_cast<std::size_t>(args.channel / kDepthwiseBlock)],
                       y + p * plan.geometry.out_c, books);
                 });
               });
}

template <int kMr>
HWY_NOINLINE void DepthwiseTile16(DepthwiseArgs args, const std::int16_t* const* low,
                                  std::int16_t* y) {
  const D32 d;
  const ConvPlan& plan = *args.plan;
  V32 high_sums[2][kMr], low_sums[2][kMr], touched[2][kMr];
  for (auto* sums : {&high_sums, &low_sums})
    for (auto& half : *sums)
      for (V32& sum : half) sum = hn::Zero(d);
  DepthwiseSums<kMr, DepthwiseMode::Plain>(args, high_sums[0], high_sums[1], touched);
  args.pixels = low;
  DepthwiseSums<kMr, DepthwiseMode::Plain>(args, low_sums[0], low_sums[1], touched);

  const H32 half;
  const bool is_short = plan.is_short[static_cast<std::size_t>(args.position / kDepthwiseBlock)];
  const auto finish = [&](std::int64_t position, V32 high, V32 bytes) HWY_ATTR {
    if (is_short) return RoundShortSums(plan, position, high, bytes);
    const V64 lower_bias = hn::Load(D64(), plan.bias64.data() + position);
    const V64 upper_bias = hn::Load(D64(), plan.bias64.data() + position + kLanes / 2);
    return RoundToInt16(
        plan.rounding64, position,
        AddBytes(lower_bias, hn::LowerHalf(half, high), hn::LowerHalf(half, bytes)),
        AddBytes(upper_bias, hn::UpperHalf(half, high), hn::UpperHalf(half, bytes)));
  };
  const std::int64_t channels = plan.geometry.out_c;
  for (int m = 0; m < kMr; ++m) {
    const V16 words =
        hn::ReorderDemote2To(D16(), finish(args.position, high_sums[0][m], low_sums[0][m]),
                             finish(args.position + 16, high_sums[1][m], low_sums[1][m]));
    StoreFirst(D16(), words, channels - args.channel, y + m * channels + args.channel);
  }
}

void DepthwiseInt16(const ConvPlan& plan, const std::int16_t* high, const std::int16_t* low,
                    std::int16_t* y) {
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w;
  WalkByteTiles<4>(plan, high, low, 0, pixels,
                   [&](auto mr, const std::int16_t* const* high_tile,
                       const std::int16_t* const* low_tile, std::int64_t p) HWY_ATTR {
                     WalkChannels(plan, high_tile, [&](const DepthwiseArgs& args) HWY_ATTR {
                       DepthwiseTile16<decltype(mr)::value>(args, low_tile,
                                                            y + p * plan.geometry.out_c);
                     });
                   });
}
