#include "ops/resample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace espquant::ops {
namespace {

template <typename E>
E named(std::string_view what, const std::string& name,
        std::initializer_list<std::pair<std::string_view, E>> names) {
  for (const auto& [known, value] : names)
    if (known == name) return value;
  malformed(fmt::format("{} '{}' is not one that ONNX knows", what, name));
}

/// Where output `o` lies on the input axis. In float32, as ONNX Runtime computes it: a nearest
/// neighbour may depend on it.
float input_coordinate(Coordinates coordinates, const AxisGeometry& g, std::int64_t o) {
  const auto x = static_cast<float>(o), in = static_cast<float>(g.in),
             out = static_cast<float>(g.out);
  switch (coordinates) {
    case Coordinates::HalfPixel:
      return (x + 0.5F) / g.scale - 0.5F;
    case Coordinates::HalfPixelSymmetric: {
      const float adjustment = out / (g.scale * in);
      return in / 2 * (1 - adjustment) + (x + 0.5F) / g.scale - 0.5F;
    }
    case Coordinates::PytorchHalfPixel:
      return g.out > 1 ? (x + 0.5F) / g.scale - 0.5F : 0.0F;
    case Coordinates::AlignCorners: {
      // ONNX's own tests take the resized length before it is rounded down; where that is a whole
      // number, the rounding of the scale must not show.
      const float scaled = g.scale * in;
      const float length = std::abs(scaled - out) < 0.01F ? out : scaled;
      return g.out == 1 ? 0.0F : x * (in - 1) / (length - 1);
    }
    case Coordinates::Asymmetric:
      return x / g.scale;
    case Coordinates::HalfPixelForNearest:
      return (x + 0.5F) / g.scale;
    case Coordinates::CropAndResize:
      if (g.out == 1) return 0.5F * (g.roi_start + g.roi_end) * (in - 1);
      return g.roi_start * (in - 1) + x * (g.roi_end - g.roi_start) * (in - 1) / (out - 1);
  }
  return 0.0F;
}

float round_coordinate(NearestRounding rounding, float x, float scale) {
  switch (rounding) {
    case NearestRounding::RoundPreferFloor:
      return std::ceil(x - 0.5F);
    case NearestRounding::RoundPreferCeil:
      return std::floor(x + 0.5F);
    case NearestRounding::Floor:
      return std::floor(x);
    case NearestRounding::Ceil:
      return std::ceil(x);
    case NearestRounding::FloorOrCeil:
      return scale < 1 ? std::ceil(x) : std::floor(x);
  }
  return x;
}

/// Keys' convolution kernel with parameter a.
float cubic_kernel(float distance, float a) {
  const float d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

float linear_kernel(float distance) { return std::max(0.0F, 1 - std::abs(distance)); }

/// Antialiasing widens the kernel when the image shrinks.
float kernel_scale(const Sampling& s, const AxisGeometry& g) {
  return s.antialias ? std::min(g.scale, 1.0F) : 1.0F;
}

/// Taps before the one at floor(x), as a non-positive offset.
std::int64_t first_tap(const Sampling& s, const AxisGeometry& g) {
  const float reach = s.method == Method::Cubic ? 2.0F : 1.0F;
  const float first = std::floor(-reach / kernel_scale(s, g)) + 1;
  if (!(first > -static_cast<float>(kMaxElements)))
    bad_data(fmt::format("antialiasing at a scale of {}", g.scale));
  return static_cast<std::int64_t>(first);
}

std::int64_t tap_count(const Sampling& s, const AxisGeometry& g) {
  if (s.method == Method::Nearest) return 1;
  return 2 - 2 * first_tap(s, g);
}

/// (outer, axis, inner) extents of a shape around one axis.
std::int64_t extent_product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::int64_t product = 1;
  for (std::size_t i = begin; i < end; ++i) product *= shape[i];
  return product;
}

template <typename T, bool kWeighted>
Tensor resample_axis(const Tensor& in, std::size_t axis, const AxisSampler& sampler) {
  Shape shape = in.shape();
  const std::int64_t outer = extent_product(shape, 0, axis),
                     inner = extent_product(shape, axis + 1, shape.size());
  shape[axis] = sampler.out();
  Tensor result(in.dtype(), shape);
  const T* from = raw<T>(in).data();
  T* to = mutable_raw<T>(result).data();
  for (std::int64_t n = 0; n < outer; ++n, from += sampler.in() * inner)
    for (std::int64_t o = 0; o < sampler.out(); ++o, to += inner)
      for (std::int64_t tap = 0; tap < sampler.taps(); ++tap) {
        const T* row = from + sampler.index(o, tap) * inner;
        if constexpr (kWeighted) {
          const T weight = static_cast<T>(sampler.weight(o, tap));
          for (std::int64_t i = 0; i < inner; ++i) to[i] += weight * row[i];
        } else {
          std::copy_n(row, inner, to);
        }
      }
  return result;
}

Tensor resample_along(const Tensor& in, std::size_t axis, const AxisSampler& sampler,
                      Method method) {
  Tensor result;
  if (method == Method::Nearest)
    visit_width(in.dtype(),
                [&]<typename T>(T) { result = resample_axis<T, false>(in, axis, sampler); });
  else
    visit_float(in.dtype(),
                [&]<typename T>(T) { result = resample_axis<T, true>(in, axis, sampler); });
  return result;
}

void fill_outside(Tensor& out, std::size_t axis, const AxisSampler& sampler, float value) {
  const std::int64_t outer = extent_product(out.shape(), 0, axis);
  const std::int64_t inner = extent_product(out.shape(), axis + 1, out.shape().size());
  visit_number(out.dtype(), [&]<typename T>(T) {
    T* to = out.mutable_data<T>().data();
    for (std::int64_t n = 0; n < outer; ++n)
      for (std::int64_t o = 0; o < sampler.out(); ++o, to += inner)
        if (sampler.is_outside(o)) std::fill_n(to, inner, static_cast<T>(value));
  });
}

}  // namespace

Sampling sampling_of(const Attributes& attributes) {
  Sampling s;
  s.method = named<Method>(
      "mode", attributes.get_string("mode", "nearest"),
      {{"nearest", Method::Nearest}, {"linear", Method::Linear}, {"cubic", Method::Cubic}});
  s.coordinates =
      named<Coordinates>("coordinate_transformation_mode",
                         attributes.get_string("coordinate_transformation_mode", "half_pixel"),
                         {{"half_pixel", Coordinates::HalfPixel},
                          {"half_pixel_symmetric", Coordinates::HalfPixelSymmetric},
                          {"pytorch_half_pixel", Coordinates::PytorchHalfPixel},
                          {"align_corners", Coordinates::AlignCorners},
                          {"asymmetric", Coordinates::Asymmetric},
                          {"tf_half_pixel_for_nn", Coordinates::HalfPixelForNearest},
                          {"tf_crop_and_resize", Coordinates::CropAndResize}});
  s.rounding = named<NearestRounding>("nearest_mode",
                                      attributes.get_string("nearest_mode", "round_prefer_floor"),
                                      {{"round_prefer_floor", NearestRounding::RoundPreferFloor},
                                       {"round_prefer_ceil", NearestRounding::RoundPreferCeil},
                                       {"floor", NearestRounding::Floor},
                                       {"ceil", NearestRounding::Ceil}});
  s.cubic_a = attributes.get_float("cubic_coeff_a", -0.75F);
  s.exclude_outside = attributes.get_int("exclude_outside", 0) != 0;
  s.antialias = attributes.get_int("antialias", 0) != 0;
  s.extrapolation_value = attributes.get_float("extrapolation_value", 0.0F);
  return s;
}

AxisSampler::AxisSampler(const Sampling& sampling, const AxisGeometry& geometry)
    : in_(geometry.in), out_(geometry.out), taps_(tap_count(sampling, geometry)) {
  if (checked_mul(out_, taps_) > kMaxElements)
    bad_data(fmt::format("{} positions that mix {} elements each", out_, taps_));
  index_.reserve(static_cast<std::size_t>(out_ * taps_));
  weight_.reserve(static_cast<std::size_t>(out_ * taps_));
  for (std::int64_t o = 0; o < out_; ++o) {
    const float x = input_coordinate(sampling.coordinates, geometry, o);
    if (!std::isfinite(x)) bad_data("a coordinate is not finite");
    outside_.push_back(sampling.coordinates == Coordinates::CropAndResize &&
                       (x < 0 || x > static_cast<float>(in_ - 1)));
    // Far outside, the edge repeats: the bound keeps the conversion to an integer defined.
    const float bound = 2 * static_cast<float>(in_) + 4;
    add_position(sampling, geometry, std::clamp(x, -bound, bound));
  }
}

void AxisSampler::add_position(const Sampling& sampling, const AxisGeometry& geometry, float x) {
  const auto clamp = [&](std::int64_t i) { return std::clamp<std::int64_t>(i, 0, in_ - 1); };
  if (sampling.method == Method::Nearest) {
    index_.push_back(
        clamp(static_cast<std::int64_t>(round_coordinate(sampling.rounding, x, geometry.scale))));
    weight_.push_back(1.0F);
    return;
  }
  const float scale = kernel_scale(sampling, geometry);
  const float whole = std::floor(x), rest = x - whole;
  const std::int64_t first = first_tap(sampling, geometry);
  const std::size_t begin = weight_.size();
  float sum = 0;
  for (std::int64_t tap = 0; tap < taps_; ++tap) {
    const std::int64_t i = static_cast<std::int64_t>(whole) + first + tap;
    const float distance = (static_cast<float>(first + tap) - rest) * scale;
    float weight = sampling.method == Method::Cubic ? cubic_kernel(distance, sampling.cubic_a)
                                                    : linear_kernel(distance);
    if (sampling.exclude_outside && (i < 0 || i >= in_)) weight = 0;
    index_.push_back(clamp(i));
    weight_.push_back(weight);
    sum += weight;
  }
  if ((sampling.exclude_outside || sampling.antialias) && sum != 0)
    for (std::size_t i = begin; i < weight_.size(); ++i) weight_[i] /= sum;
}

bool AxisSampler::is_identity() const {
  if (in_ != out_ || any_outside()) return false;
  for (std::int64_t o = 0; o < out_; ++o)
    for (std::int64_t tap = 0; tap < taps_; ++tap)
      if (weight(o, tap) != (index(o, tap) == o ? 1.0F : 0.0F)) return false;
  return true;
}

bool AxisSampler::any_outside() const {
  return std::find(outside_.begin(), outside_.end(), true) != outside_.end();
}

Tensor resample(const Tensor& in, const std::vector<AxisSampler>& axes, const Sampling& sampling) {
  Tensor result = in;
  // Shrinking axes go first: no intermediate result is larger than both ends.
  for (const bool shrinking : {true, false})
    for (std::size_t d = 0; d < axes.size(); ++d)
      if ((axes[d].out() < axes[d].in()) == shrinking && !axes[d].is_identity())
        result = resample_along(result, d, axes[d], sampling.method);
  for (std::size_t d = 0; d < axes.size(); ++d)
    if (axes[d].any_outside()) fill_outside(result, d, axes[d], sampling.extrapolation_value);
  return result;
}

}  // namespace espquant::ops
