// Part of conv_simd.cpp, which includes it once per instruction set, inside that set's namespace.
// Depthwise convolutions: vectors of channels, two taps at a time.

enum class DepthwiseMode { Plain, Clipped, Counted };

struct DepthwiseArgs {
  const ConvPlan* plan;
  const std::int16_t* const* pixels;
  /// First of the channels, and where their lower and upper sums stand in the tables.
  std::int64_t channel, position;
  const std::int16_t* weights;
};

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
  for (std::int64_t t = 0; t < pairs; ++t) {
    const std::int16_t* w = args.weights + t * kDepthwiseBlock * 2;
    const V16 w_lower = hn::Load(d16, w), w_upper = hn::Load(d16, w + kDepthwiseBlock);
    for (int m = 0; m < kMr; ++m) {
      const V16 a = hn::LoadU(d16, args.pixels[m] + taps[2 * t] + args.channel);
      const V16 b = hn::LoadU(d16, args.pixels[m] + taps[2 * t + 1] + args.channel);
      const V16 x_lower = hn::InterleaveLower(d16, a, b), x_upper = hn::InterleaveUpper(d16, a, b);
      if constexpr (kMode != DepthwiseMode::Plain) {
        lower[m] = ClipSum<kCount>(MulAddPairs(x_lower, hn::And(w_lower, even), lower[m]),
                                   lower_limit, touched[0][m]);
        lower[m] = ClipSum<kCount>(MulAddPairs(x_lower, hn::AndNot(even, w_lower), lower[m]),
                                   lower_limit, touched[0][m]);
        upper[m] = ClipSum<kCount>(MulAddPairs(x_upper, hn::And(w_upper, even), upper[m]),
                                   upper_limit, touched[1][m]);
        upper[m] = ClipSum<kCount>(MulAddPairs(x_upper, hn::AndNot(even, w_upper), upper[m]),
                                   upper_limit, touched[1][m]);
      } else {
        lower[m] = MulAddPairs(x_lower, w_lower, lower[m]);
        upper[m] = MulAddPairs(x_upper, w_upper, upper[m]);
      }
    }
  }
}

template <int kMr, DepthwiseMode kMode>
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
  DepthwiseSums<kMr, kMode>(args, lower, upper, touched);
  const std::int64_t channels = plan.geometry.out_c;
  const std::int64_t valid = std::min(kStep, channels - args.channel);
  for (int m = 0; m < kMr; ++m) {
    const V16 words =
        hn::ReorderDemote2To(D16(), RoundSums(d, plan.rounding32, args.position, lower[m]),
                             RoundSums(d, plan.rounding32, args.position + 16, upper[m]));
    StoreFirst(d8, hn::DemoteTo(d8, words), valid, y + m * channels + args.channel);
  }
  std::int64_t count = 0;
  if constexpr (kMode == DepthwiseMode::Counted) {
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
                   const std::vector<BlockMode>& modes, std::int8_t* y, std::int64_t* saturated) {
  const std::int64_t pixels = plan.geometry.out_h * plan.geometry.out_w;
  WalkTiles<4>(
      plan, image, 0, pixels,
      [&](auto mr, const std::int16_t* const* tile, std::int64_t p) HWY_ATTR {
        constexpr int kMr = decltype(mr)::value;
        WalkChannels(plan, tile, [&](const DepthwiseArgs& args) HWY_ATTR {
          std::int8_t* to = y + p * plan.geometry.out_c;
          if (modes[static_cast<std::size_t>(args.channel / kDepthwiseBlock)] == BlockMode::Plain) {
            DepthwiseTile8<kMr, DepthwiseMode::Plain>(args, to);
          } else if (saturated == nullptr) {
            DepthwiseTile8<kMr, DepthwiseMode::Clipped>(args, to);
          } else {
            *saturated += DepthwiseTile8<kMr, DepthwiseMode::Counted>(args, to);
          }
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
  const auto finish = [&](std::int64_t position, V32 high, V32 bytes) HWY_ATTR {
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
  WalkTiles<4>(plan, high, 0, pixels,
               [&](auto mr, const std::int16_t* const* tile, std::int64_t p) HWY_ATTR {
                 constexpr int kMr = decltype(mr)::value;
                 const std::int16_t* low_tile[kMr];
                 for (int m = 0; m < kMr; ++m) low_tile[m] = low + (tile[m] - high);
                 WalkChannels(plan, tile, [&](const DepthwiseArgs& args) HWY_ATTR {
                   DepthwiseTile16<kMr>(args, low_tile, y + p * plan.geometry.out_c);
                 });
               });
}
