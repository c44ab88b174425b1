#pragma once

#include "sim/prepare.h"

namespace espquant::sim {

/// A pooling window over N,H,W,C (or N,W,C, then height 1), cropped at the borders as the
/// runtime's loops crop it.
struct PoolGeometry {
  std::int64_t in_height = 1, in_width = 1, channels = 1;
  std::int64_t out_height = 1, out_width = 1;
  std::int64_t kernel_height = 1, kernel_width = 1;
  std::int64_t stride_y = 1, stride_x = 1;
  std::int64_t pad_top = 0, pad_left = 0;

  std::int64_t area() const { return kernel_height * kernel_width; }
};

struct PoolPlan {
  PoolGeometry geometry;
  /// Of the output.
  Shape shape;
  /// Attributes of ONNX that the runtime passes over.
  std::vector<std::string> faults;
};

/// From the attributes kernel_shape, pads and strides. Throws Error(Illegal) where the runtime's
/// loops would leave the input.
PoolPlan plan_pool(const NodeContext& context);

/// One window as large as the input.
PoolPlan plan_global_pool(const NodeContext& context);

/// Calls window(out_offset, in_offset, height, width) for each output position: the first element
/// of the cropped window and its extent.
template <typename F>
void for_each_window(const PoolGeometry& g, F&& window) {
  for (std::int64_t y = 0; y < g.out_height; ++y) {
    const std::int64_t top = y * g.stride_y - g.pad_top;
    const std::int64_t y0 = std::max<std::int64_t>(top, 0);
    const std::int64_t y1 = std::min(top + g.kernel_height, g.in_height);
    for (std::int64_t x = 0; x < g.out_width; ++x) {
      const std::int64_t left = x * g.stride_x - g.pad_left;
      const std::int64_t x0 = std::max<std::int64_t>(left, 0);
      const std::int64_t x1 = std::min(left + g.kernel_width, g.in_width);
      window((y * g.out_width + x) * g.channels, (y0 * g.in_width + x0) * g.channels, y1 - y0,
             x1 - x0);
    }
  }
}

}  // namespace espquant::sim
