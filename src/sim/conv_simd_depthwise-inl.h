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

HWY_INLINE void DepthwiseRaw(const DepthwiseArgs& args, std::int32_t* to) {
  V32 lower[1] = {hn::Zero(D32())}, upper[1] = {hn::Zero(D32())}, touched[2][1];
  DepthwiseSums<1, DepthwiseMode::Plain>(args, lower, upper, touched);
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
