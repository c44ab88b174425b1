#include "calib/patches.h"

#include <algorithm>

namespace espquant::calib {

Patches::Patches(const Graph& graph, const Node& n) {
  const Shape& in = *graph.value(n.inputs.at(0)).shape;
  shape_ = in;
  const Shape& out = *graph.value(n.outputs.at(0)).shape;
  if (n.op != "Conv") {
    channels_ = in.back();
    is_matrix_ = true;
    out_x_ = channels_ == 0 ? 0 : element_count(in) / channels_;
    width_ = out_x_;
    return;
  }
  const Shape& w = graph.value(n.inputs.at(1)).constant.shape();
  const std::size_t spatial = in.size() - 2;
  const auto strides = n.attributes.get_ints("strides", std::vector<std::int64_t>(spatial, 1));
  const auto dilations = n.attributes.get_ints("dilations", std::vector<std::int64_t>(spatial, 1));
  const auto pads = n.attributes.get_ints("pads", std::vector<std::int64_t>(2 * spatial, 0));
  channels_ = in[1];
  width_ = in.back();
  out_x_ = out.back();
  kernel_x_ = w.back();
  stride_x_ = strides.at(spatial - 1);
  dilation_x_ = dilations.at(spatial - 1);
  pad_x_ = pads.at(spatial - 1);
  if (spatial == 1) return;
  height_ = in[2];
  out_y_ = out[2];
  kernel_y_ = w[2];
  stride_y_ = strides[0];
  dilation_y_ = dilations[0];
  pad_y_ = pads[0];
}

template <typename T>
void Patches::copy_row(const T* data, bool channels_last, std::int64_t row, float* into) const {
  if (!channels_last || shape_.size() < 3) {
    std::copy_n(data + row * channels_, channels_, into);
    return;
  }
  // Rows run over (n, c, middle axes), features over the last axis; stored n, middle, last, c.
  const std::int64_t c_count = shape_[1];
  const std::int64_t middle = positions() / (shape_[0] * c_count);
  const std::int64_t m = row % middle, c = row / middle % c_count, n = row / (middle * c_count);
  const T* at = data + (n * middle + m) * channels_ * c_count + c;
  for (std::int64_t k = 0; k < channels_; ++k) into[k] = static_cast<float>(at[k * c_count]);
}

template <typename T>
void Patches::copy(const T* data, bool channels_last, std::int64_t position, float* into) const {
  if (is_matrix_) return copy_row(data, channels_last, position, into);
  const std::int64_t step_c = channels_last ? 1 : height_ * width_;
  const std::int64_t step_x = channels_last ? channels_ : 1;
  const std::int64_t oy = position / out_x_, ox = position % out_x_;
  for (std::int64_t ky = 0; ky < kernel_y_; ++ky) {
    const std::int64_t y = oy * stride_y_ + ky * dilation_y_ - pad_y_;
    for (std::int64_t kx = 0; kx < kernel_x_; ++kx, into += channels_) {
      const std::int64_t x = ox * stride_x_ + kx * dilation_x_ - pad_x_;
      if (y < 0 || y >= height_ || x < 0 || x >= width_) {
        std::fill_n(into, channels_, 0.0F);
        continue;
      }
      const T* at = data + (y * width_ + x) * step_x;
      if (step_c == 1) {
        std::copy_n(at, channels_, into);
      } else {
        for (std::int64_t c = 0; c < channels_; ++c) into[c] = static_cast<float>(at[c * step_c]);
      }
    }
  }
}

template void Patches::copy(const float*, bool, std::int64_t, float*) const;
template void Patches::copy(const std::int8_t*, bool, std::int64_t, float*) const;
template void Patches::copy(const std::int16_t*, bool, std::int64_t, float*) const;

PositionChoice choose_positions(std::int64_t positions, std::int64_t samples, std::int64_t wanted) {
  const std::int64_t each = (wanted + samples - 1) / std::max<std::int64_t>(samples, 1);
  const std::int64_t per_sample = std::min(positions, each);
  return {per_sample, per_sample > 0 ? positions / per_sample : 0};
}

}  // namespace espquant::calib
