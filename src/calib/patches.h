#pragma once

#include <vector>

#include "graph/graph.h"
#include "ops/executor.h"

namespace espquant::calib {

/// The inputs that the filters of a Conv (N,C,H,W or N,C,W), Gemm or MatMul see at one output
/// position after another.
class Patches {
 public:
  Patches(const Graph& graph, const Node& n);

  std::int64_t positions() const { return out_y_ * out_x_; }
  /// Filter taps times input channels, of all groups.
  std::int64_t width() const { return taps() * channels_; }
  std::int64_t taps() const { return kernel_y_ * kernel_x_; }
  std::int64_t channels() const { return channels_; }

  /// Writes the patch at `position` as [taps][channels], zero where the filter hangs over the edge.
  void copy(const ops::Executor::View& view, std::int64_t position, float* into) const;

 private:
  // Of a Gemm or MatMul.
  void copy_row(const ops::Executor::View& view, std::int64_t row, float* into) const;

  bool is_matrix_ = false;
  std::int64_t channels_ = 0, height_ = 1, width_ = 1;
  std::int64_t kernel_y_ = 1, kernel_x_ = 1, stride_y_ = 1, stride_x_ = 1;
  std::int64_t dilation_y_ = 1, dilation_x_ = 1, pad_y_ = 0, pad_x_ = 0;
  std::int64_t out_y_ = 1, out_x_ = 1;
};

}  // namespace espquant::calib
