#include "cost/convolution_work.h"

#include <algorithm>
#include <cmath>

namespace espquant::cost {
namespace {

const Shape* shape_of(const espdl::ModelIndex& index, const std::string& tensor) {
  if (const auto* constant = index.initializer(tensor)) return &constant->data.shape();
  if (const auto* value = index.value(tensor)) return &value->shape;
  return nullptr;
}

double extent(const Shape& shape, std::size_t axis) {
  return axis < shape.size() ? static_cast<double>(shape[axis]) : 1;
}

std::int64_t entry(const std::vector<std::int64_t>& list, std::size_t i, std::int64_t otherwise) {
  return i < list.size() ? list[i] : otherwise;
}

/// Taps inside the input, averaged over the outputs along one axis.
double mean_taps(double in, double out, double kernel, double stride, double pad, double dilation) {
  if (out < 1 || stride < 1) return kernel;
  double taps = 0;
  for (double tap = 0; tap < kernel; ++tap) {
    const double offset = tap * dilation - pad;
    const double first = std::max(0.0, std::ceil(-offset / stride));
    const double last = std::min(out - 1, std::floor((in - 1 - offset) / stride));
    taps += std::max(0.0, last - first + 1);
  }
  return taps / out;
}

/// Conv on N,H,W,C or N,W,C with a filter declared H,W,C,N or W,C,N; depthwise H,W,N,1 or W,N,1
/// (ESP-DL 4.1).
std::optional<ConvolutionShape> conv_shape(const espdl::Node& node, const Shape& in,
                                           const Shape& filter, const Shape& out) {
  const bool planar = in.size() == 4;
  if ((in.size() != 3 && in.size() != 4) || out.size() != in.size() || filter.size() != in.size())
    return std::nullopt;
  const std::size_t spatial = in.size() - 2;
  ConvolutionShape s;
  s.depthwise = node.get_int("group", 1) > 1;
  s.in_height = planar ? extent(in, 1) : 1;
  s.in_width = extent(in, spatial);
  s.in_channels = extent(in, spatial + 1);
  s.out_height = planar ? extent(out, 1) : 1;
  s.out_width = extent(out, spatial);
  s.out_channels = extent(out, spatial + 1);
  s.kernel_height = planar ? extent(filter, 0) : 1;
  s.kernel_width = extent(filter, spatial - 1);

  const auto strides = node.get_ints("strides");
  const auto dilations = node.get_ints("dilations");
  const auto pads = node.get_ints("pads");
  const auto along = [&](std::size_t axis, double in_extent, double out_extent, double kernel) {
    return mean_taps(in_extent, out_extent, kernel, static_cast<double>(entry(strides, axis, 1)),
                     static_cast<double>(entry(pads, axis, 0)),
                     static_cast<double>(entry(dilations, axis, 1)));
  };
  s.taps = along(spatial - 1, s.in_width, s.out_width, s.kernel_width);
  if (planar) {
    s.taps *= along(0, s.in_height, s.out_height, s.kernel_height);
    s.stride_y = std::max(1.0, static_cast<double>(entry(strides, 0, 1)));
  }
  return s;
}

/// The rows of the first operand are pixels.
std::optional<ConvolutionShape> product_shape(const Shape& in, const Shape& out) {
  if (in.empty() || out.empty()) return std::nullopt;
  ConvolutionShape s;
  s.product = true;
  s.in_channels = extent(in, in.size() - 1);
  s.out_channels = extent(out, out.size() - 1);
  if (s.out_channels < 1) return std::nullopt;
  s.out_width = s.in_width = static_cast<double>(element_count(out)) / s.out_channels;
  return s;
}

/// Pixels that the tiled loop computes with one tile before it takes the next.
constexpr double kPixelsPerTile = 32;

/// To get to the output's exponent. Not asked of filters with one exponent per channel: the S3 has
/// none.
bool is_shifted_left(const espdl::Node& node, const espdl::ModelIndex& index) {
  const auto* in = index.value(node.inputs[0]);
  const auto* filter = index.initializer(node.inputs[1]);
  const auto* out = index.value(node.outputs[0]);
  if (in == nullptr || filter == nullptr || out == nullptr) return false;
  return filter->exponents.size() == 1 && out->exponent() < in->exponent() + filter->exponent();
}

/// To enter a kernel, and to start, round and store one vector of output channels.
constexpr double kPerPixel = 21;
constexpr double kPerBlockS3 = 19.5;
constexpr double kPerBlockP4 = 8;

double dense_instructions(const ConvolutionShape& s, double lanes, double per_block) {
  const double groups = std::floor(s.in_channels / lanes);
  const double left_in = s.in_channels - groups * lanes;
  const double blocks = std::floor(s.out_channels / lanes);
  const double left_out = s.out_channels - blocks * lanes;
  if (left_in == 0 && left_out == 0)  // one MAC per input channel, two loads per vector of them
    return kPerPixel + blocks * (per_block + s.taps * (2.45 + groups * (lanes + 2)));
  const double realign = 8.6;  // unaligned loads of each tap
  const double block = per_block + s.taps * (realign + lanes * groups + 3 * left_in);
  const double single_channel = 20 + s.taps * (realign + 4 * groups + 3 * left_in);
  return kPerPixel + blocks * block + left_out * single_channel;
}

double depthwise_instructions(const ConvolutionShape& s, double lanes, double per_block) {
  const double blocks = std::ceil(s.in_channels / lanes);
  const bool aligned = std::fmod(s.in_channels, lanes) == 0;
  return kPerPixel + blocks * (per_block + (aligned ? 1.5 + 2 * s.taps : 7 * s.taps));
}

}  // namespace

std::optional<ConvolutionShape> convolution_shape(const espdl::Node& node,
                                                  const espdl::ModelIndex& index) {
  const bool conv = node.op == "Conv";
  if (!conv && node.op != "Gemm" && node.op != "MatMul") return std::nullopt;
  if (node.inputs.size() < 2 || node.outputs.empty()) return std::nullopt;
  const Shape* in = shape_of(index, node.inputs[0]);
  const Shape* filter = shape_of(index, node.inputs[1]);
  const Shape* out = shape_of(index, node.outputs[0]);
  if (in == nullptr || filter == nullptr || out == nullptr) return std::nullopt;
  if (element_count(*filter) == 0 || element_count(*in) == 0) return std::nullopt;
  auto shape = conv ? conv_shape(node, *in, *filter, *out) : product_shape(*in, *out);
  if (!shape) return shape;
  if (const auto* value = index.value(node.inputs[0]); value && value->dtype == DType::Int16)
    shape->bits = 16;
  const auto* weights = index.initializer(node.inputs[1]);
  shape->weight_bits = weights != nullptr && weights->data.dtype() == DType::Int8 ? 8 : shape->bits;
  const std::string activation = node.get_string("activation", "Linear");
  shape->plain_activation = activation == "Linear" || activation == "Relu";
  shape->shifts_left = is_shifted_left(node, index);
  return shape;
}

std::optional<Tiles> tiles_of(const ConvolutionShape& s, const Target& target, double budget) {
  const bool pointwise = s.is_pointwise();
  const auto needed = pointwise ? Feature::TiledPointwise : Feature::TiledConvolutions;
  if (budget <= 0 || target.family == Family::C || !target.release.has(needed)) return std::nullopt;
  const double lanes = target.lanes(s.bits);
  const bool any_outputs = s.product && target.release.has(Feature::TiledConvolutions);
  const bool filled = std::fmod(s.in_channels, lanes) == 0 &&
                      (any_outputs || std::fmod(s.out_channels, lanes) == 0);
  if (s.depthwise || !filled || !s.plain_activation || s.pixels() < 2) return std::nullopt;
  if (s.shifts_left && target.family == Family::S3) return std::nullopt;
  const double bytes_per_channel = s.filter_bytes() / s.out_channels;
  Tiles tiles;
  tiles.channels = std::floor(budget / bytes_per_channel / lanes) * lanes;
  if (!pointwise) tiles.channels = std::max(tiles.channels, lanes);
  if (tiles.channels < lanes || s.out_channels < 2 * tiles.channels) return std::nullopt;
  tiles.count = std::ceil(s.out_channels / tiles.channels);
  tiles.passes = std::ceil(s.pixels() / kPixelsPerTile);
  return tiles;
}

double vector_instructions_per_pixel(const ConvolutionShape& shape, const Target& target,
                                     double calls) {
  const double lanes = target.lanes(shape.bits);
  const double per_block = target.family == Family::P4 ? kPerBlockP4 : kPerBlockS3;
  return kPerPixel * (calls - 1) + (shape.depthwise
                                        ? depthwise_instructions(shape, lanes, per_block)
                                        : dense_instructions(shape, lanes, per_block));
}

}  // namespace espquant::cost
