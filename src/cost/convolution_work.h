#pragma once

#include <optional>

#include "espdl/index.h"
#include "target/target.h"

namespace espquant::cost {

/// A Conv, Gemm or MatMul as ESP-DL's convolution kernels see it: Gemm and MatMul are 1x1
/// convolutions over their rows (ESP-DL 3.5). Counts, as floating point numbers.
struct ConvolutionShape {
  double in_height = 1, in_width = 1, in_channels = 0;
  double out_height = 1, out_width = 1, out_channels = 0;
  double kernel_height = 1, kernel_width = 1;
  /// Taps of the kernel that lie inside of the input, on average over all outputs.
  double taps = 1;
  double stride_y = 1;
  bool depthwise = false;
  int bits = 8;

  double pixels() const { return out_height * out_width; }
  double element_bytes() const { return bits / 8.0; }
  double filter_bytes() const {
    return kernel_height * kernel_width * in_channels * (depthwise ? 1 : out_channels) *
           element_bytes();
  }
  double macs() const { return pixels() * taps * in_channels * (depthwise ? 1 : out_channels); }
};

/// Nothing where the node is no such operator, or where its shapes do not make one.
std::optional<ConvolutionShape> convolution_shape(const espdl::Node& node,
                                                  const espdl::ModelIndex& index);

/// Instructions of the vector kernels (S3, P4) for one output pixel, counted in the S3's published
/// assembly and put into a formula (ESP-DL 7.3).
double vector_instructions_per_pixel(const ConvolutionShape& shape, const Target& target);

}  // namespace espquant::cost
