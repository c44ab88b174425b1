#pragma once

#include <vector>

#include "ops/visit.h"

/// Interpolation along the axes of a tensor, as ONNX Resize defines it.
namespace espquant::ops {

enum class Method { Nearest, Linear, Cubic };
enum class Coordinates {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  HalfPixelForNearest,  ///< tf_half_pixel_for_nn
  CropAndResize,        ///< tf_crop_and_resize
};
enum class NearestRounding { RoundPreferFloor, RoundPreferCeil, Floor, Ceil, FloorOrCeil };

struct Sampling {
  Method method = Method::Nearest;
  Coordinates coordinates = Coordinates::HalfPixel;
  NearestRounding rounding = NearestRounding::RoundPreferFloor;
  float cubic_a = -0.75F;
  bool exclude_outside = false;
  bool antialias = false;
  float extrapolation_value = 0.0F;
};

/// The attributes of Resize since opset 11. Throws Error(Malformed) on a mode that does not exist.
Sampling sampling_of(const Attributes& attributes);

struct AxisGeometry {
  std::int64_t in, out;
  float scale;
  float roi_start, roi_end;  ///< used by CropAndResize alone
};

/// For each position along one output axis: which inputs it mixes, and how.
class AxisSampler {
 public:
  AxisSampler(const Sampling& sampling, const AxisGeometry& geometry);

  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }
  bool is_identity() const;

  /// Taps per output position.
  std::int64_t taps() const { return taps_; }
  std::int64_t index(std::int64_t o, std::int64_t tap) const {
    return index_[static_cast<std::size_t>(o * taps_ + tap)];
  }
  float weight(std::int64_t o, std::int64_t tap) const {
    return weight_[static_cast<std::size_t>(o * taps_ + tap)];
  }
  /// The position lies outside the input and takes the extrapolation value.
  bool is_outside(std::int64_t o) const { return outside_[static_cast<std::size_t>(o)]; }
  bool any_outside() const;

 private:
  void add_position(const Sampling& sampling, const AxisGeometry& geometry, float x);

  std::int64_t in_, out_, taps_;
  std::vector<std::int64_t> index_;
  std::vector<float> weight_;
  std::vector<bool> outside_;
};

/// `in` resampled along every axis; elements of any type for Nearest, floats otherwise.
Tensor resample(const Tensor& in, const std::vector<AxisSampler>& axes, const Sampling& sampling);

}  // namespace espquant::ops
