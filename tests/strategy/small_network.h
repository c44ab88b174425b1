#pragma once

#include "passes/pass_manager.h"
#include "tests/quant/calibrated.h"

namespace espquant::test {

/// A classifier of 3x8x8 images in 5 layers: an inverted residual block with caps, its Add, a head.
/// Channels have ranges of their own.
inline Graph small_network() {
  Network net;
  std::uint64_t seed = 70;
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to, std::int64_t groups,
                            std::int64_t kernel) {
    Tensor w = random_tensor({to, from / groups, kernel, kernel}, ++seed);
    Random random(seed);
    auto data = w.mutable_data<float>();
    const std::size_t each = data.size() / static_cast<std::size_t>(to);
    for (std::size_t c = 0; c < static_cast<std::size_t>(to); ++c) {
      const float range = std::exp2(random.uniform(-2, 1));
      for (std::size_t k = 0; k < each; ++k) data[c * each + k] *= range;
    }
    const std::int64_t pad = kernel / 2;
    return net.node("Conv", {v, net.constant(w), net.random({to})},
                    {{"group", groups},
                     {"kernel_shape", Ints{kernel, kernel}},
                     {"pads", Ints{pad, pad, pad, pad}}});
  };
  const auto cap = [&](ValueId v) { return net.node("Clip", {v, net.scalar(0), net.scalar(6)}); };
  const ValueId x = net.input("image", {1, 3, 8, 8});
  const ValueId stem = convolve(x, 3, 8, 1, 3);
  const ValueId wide = cap(convolve(stem, 8, 16, 1, 1));
  const ValueId deep = cap(convolve(wide, 16, 16, 16, 3));
  const ValueId sum = net.node("Add", {stem, convolve(deep, 16, 8, 1, 1)});
  const ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {sum})});
  return net.finish({net.node("Gemm", {flat, net.random({8, 5}), net.random({5})})});
}

}  // namespace espquant::test
