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
  bool product = false;  ///< Gemm or MatMul
  /// Of the activations and, apart from them, of the weights.
  int bits = 8, weight_bits = 8;
  /// Its activation is Linear or ReLU, the only ones that tiles know (ESP-DL 3.3.15, 4.1).
  bool plain_activation = true;
  /// Sums are shifted left: not tiled on the S3.
  bool shifts_left = false;

  double pixels() const { return out_height * out_width; }
  double element_bytes() const { return bits / 8.0; }
  double filter_bytes() const {
    return kernel_height * kernel_width * in_channels * (depthwise ? 1 : out_channels) *
           weight_bits / 8.0;
  }
  bool is_pointwise() const { return kernel_height == 1 && kernel_width == 1; }
  double macs() const { return pixels() * taps * in_channels * (depthwise ? 1 : out_channels); }
};

/// Nothing where the node is no such operator, or where its shapes do not make one.
std::optional<ConvolutionShape> convolution_shape(const espdl::Node& node,
                                                  const espdl::ModelIndex& index);

/// How a convolution is cut so that a part of its filter stays in the cache for several pixels.
struct Tiles {
  double channels = 0;  ///< output channels of a tile, the last may have fewer
  double count = 0;     ///< tiles, and so calls of the kernel per pixel
  double passes = 0;    ///< how often the filter is read: once per 32 pixels
};

/// Nothing where the runtime reads the whole filter for every pixel: always before tiles
/// (Feature::TiledPointwise, TiledConvolutions), where lanes are not filled, and where two tiles of
/// `budget` bytes hold more than the filter. A kernel larger than 1x1 gets tiles of one vector of
/// channels even if these exceed the budget (ESP-DL 3.3.15, 4.1 and 4.2). With those, products are
/// cut whose output channels do not fill lanes: the published times of text recognition, which ends
/// in 80 x 6906, are impossible otherwise.
std::optional<Tiles> tiles_of(const ConvolutionShape& shape, const Target& target, double budget);

/// Instructions of the vector kernels (S3, P4) for one output pixel, counted in the S3's published
/// assembly and put into a formula (ESP-DL 7.3). `calls`: how often the kernel is entered for it.
double vector_instructions_per_pixel(const ConvolutionShape& shape, const Target& target,
                                     double calls = 1);

}  // namespace espquant::cost
