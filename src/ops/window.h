#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/infer.h"

/// The sliding window that convolutions and poolings share (ONNX: kernel_shape, strides, dilations,
/// pads, auto_pad).
namespace espquant::ops {

/// Half-open.
struct Range {
  std::int64_t begin = 0, end = 0;
};

struct WindowAxis {
  std::int64_t in = 1, out = 1;
  std::int64_t kernel = 1, stride = 1, dilation = 1;
  std::int64_t pad_begin = 0, pad_end = 0;

  /// Extent of the dilated kernel.
  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
  /// Where output `o` reads tap 0; may lie in the padding.
  std::int64_t origin(std::int64_t o) const { return o * stride - pad_begin; }

  /// Taps of output `o` that lie in [lo, hi).
  Range taps_within(std::int64_t o, std::int64_t lo, std::int64_t hi) const {
    const std::int64_t first = origin(o);
    const std::int64_t begin = first < lo ? (lo - first + dilation - 1) / dilation : 0;
    const std::int64_t end = first < hi ? std::min(kernel, (hi - 1 - first) / dilation + 1) : 0;
    return {begin, std::max(begin, end)};
  }
  Range taps(std::int64_t o) const { return taps_within(o, 0, in); }

  /// Outputs that read an input through tap `t`.
  Range outputs_of(std::int64_t t) const {
    const std::int64_t shift = t * dilation - pad_begin;
    const std::int64_t begin = shift < 0 ? (-shift + stride - 1) / stride : 0;
    const std::int64_t end = shift < in ? std::min(out, (in - 1 - shift) / stride + 1) : 0;
    return {begin, std::max(begin, end)};
  }
};

/// One to three spatial axes, brought to three by leading axes of extent 1: kernels need one loop
/// nest.
using Window = std::array<WindowAxis, 3>;
inline constexpr std::int64_t kMaxSpatialAxes = 3;

inline std::int64_t in_volume(const Window& w) { return w[0].in * w[1].in * w[2].in; }
inline std::int64_t out_volume(const Window& w) { return w[0].out * w[1].out * w[2].out; }
inline std::int64_t kernel_volume(const Window& w) {
  return w[0].kernel * w[1].kernel * w[2].kernel;
}

/// An attribute with one entry per spatial axis, `otherwise` where it is absent.
/// Throws Error(Malformed) when it has another length or an entry is outside [least, 2^31).
std::vector<std::int64_t> spatial_attribute(const Attributes& attributes, std::string_view name,
                                            std::size_t count, std::int64_t otherwise,
                                            std::int64_t least);

/// The window of a node on an input (N,C,spatial...) with the given kernel extents. `ceil_mode` as
/// in the poolings. Throws Error(Malformed) on attributes that make no sense, Error(BadData) when
/// the kernel exceeds the padded input.
Window make_window(const Attributes& attributes, const Shape& input,
                   const std::vector<std::int64_t>& kernel, bool ceil_mode);

/// The window of a ConvTranspose from `x` with weights `w`, whose outputs are X and whose inputs
/// are Y: every tap of Conv, run backwards. Throws as make_window.
Window make_transposed_window(const Node& node, const Shape& x, const Shape& w);

/// (N, channels, output extents).
Shape window_output(const Window& window, std::int64_t batch, std::int64_t channels,
                    std::size_t spatial_axes);

/// Calls f(offset in the input plane, step there, offset in the output plane, count) for each row
/// of outputs that see an input through `tap`; outputs of a row are adjacent.
template <typename F>
void for_each_tap_row(const Window& w, const std::array<std::int64_t, 3>& tap, F&& f) {
  const Range depth = w[0].outputs_of(tap[0]), rows = w[1].outputs_of(tap[1]),
              columns = w[2].outputs_of(tap[2]);
  const std::int64_t count = columns.end - columns.begin;
  if (count <= 0) return;
  for (std::int64_t d = depth.begin; d < depth.end; ++d) {
    const std::int64_t in_d = w[0].origin(d) + tap[0] * w[0].dilation;
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
      const std::int64_t in_y = w[1].origin(y) + tap[1] * w[1].dilation;
      const std::int64_t in_x = w[2].origin(columns.begin) + tap[2] * w[2].dilation;
      f((in_d * w[1].in + in_y) * w[2].in + in_x, w[2].stride,
        (d * w[1].out + y) * w[2].out + columns.begin, count);
    }
  }
}

/// Calls f(tap) for each tap of the kernel, in the order of its weights.
template <typename F>
void for_each_tap(const Window& w, F&& f) {
  for (std::int64_t d = 0; d < w[0].kernel; ++d)
    for (std::int64_t y = 0; y < w[1].kernel; ++y)
      for (std::int64_t x = 0; x < w[2].kernel; ++x) f(std::array<std::int64_t, 3>{d, y, x});
}

enum class AutoPad { NotSet, Valid, SameUpper, SameLower };
AutoPad auto_pad_of(const Attributes& attributes);

}  // namespace espquant::ops
