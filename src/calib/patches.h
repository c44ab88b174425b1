#pragma once

#include <cstdint>

#include "graph/graph.h"

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
  /// `data` are the layer's input, in the order of its shape or channels-last. T: float, int8_t or
  /// int16_t.
  template <typename T>
  void copy(const T* data, bool channels_last, std::int64_t position, float* into) const;

 private:
  // Of a Gemm or MatMul.
  template <typename T>
  void copy_row(const T* data, bool channels_last, std::int64_t row, float* into) const;

  Shape shape_;
  bool is_matrix_ = false;
  std::int64_t channels_ = 0, height_ = 1, width_ = 1;
  std::int64_t kernel_y_ = 1, kernel_x_ = 1, stride_y_ = 1, stride_x_ = 1;
  std::int64_t dilation_y_ = 1, dilation_x_ = 1, pad_y_ = 0, pad_x_ = 0;
  std::int64_t out_y_ = 1, out_x_ = 1;
};

/// Output positions of a layer that are looked at in each sample: evenly spread, another phase in
/// every sample, so that all are seen.
struct PositionChoice {
  std::int64_t per_sample = 0, stride = 0;

  std::int64_t position(std::int64_t i, std::int64_t sample) const {
    return i * stride + sample % stride;
  }
};
/// About `wanted` of them over all samples, of `positions` in each.
PositionChoice choose_positions(std::int64_t positions, std::int64_t samples, std::int64_t wanted);

}  // namespace espquant::calib
