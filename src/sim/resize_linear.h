#pragma once

#include "sim/prepare.h"

namespace espquant::sim {

struct ResizeAxis {
  std::int64_t in = 1, out = 1;
  float scale = 1;
};

struct ResizePlan {
  ResizeAxis y, x;
  std::int64_t channels = 1;
  /// Four axes, N,H,W,C; otherwise N,W,C.
  bool planar = false;
};

/// Linear interpolation in float32, for int8, as ESP-DL 3.16 orders its operations. Throws
/// Error(Illegal) for axes that are too short to interpolate.
std::unique_ptr<Kernel> linear_resize_kernel(const NodeContext& context, const ResizePlan& plan,
                                             bool align_corners);

}  // namespace espquant::sim
