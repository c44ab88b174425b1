#include "calib/patches.h"

#include <algorithm>

namespace espquant::calib {

Patches::Patches(const Graph& graph, const Node& n) {
  const Shape& in = *graph.value(n.inputs.at(0)).shape;
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

void Patches::copy_row(const ops::Executor::View& view, std::int64_t row, float* into) const {
  if (!view.channels_last || view.shape.size() < 3) {
    std::copy_n(view.data.data() + row * channels_, channels_, into);
    return;
  }
  // Rows run over (n, c, middle axes), features over the last axis; stored n, middle, last, c.
  const std::int64_t c_count = view.shape[1];
  const std::int64_t middle = positions() / (view.shape[0] * c_count);
  const std::int64_t m = row % middle, c = row / middle % c_count, n = row / (middle * c_count);
  const float* at = view.data.data() + (n * middle + m) * channels_ * c_count + c;
  for (std::int64_t k = 0; k < channels_; ++k) into[k] = at[k * c_count];
}

void Patches::copy(const ops::Executor::View& view, std::int64_t position, float* into) const {
  if (is_matrix_) return copy_row(view, position, into);
  const std::int64_t step_c = view.channels_last ? 1 : height_ * width_;
  const std::int64_t step_x = view.channels_last ? channels_ : 1;
  const std::int64_t oy = position / out_x_, ox = position % out_x_;
  for (std::int64_t ky = 0; ky < kernel_y_; ++ky) {
    const std::int64_t y = oy * stride_y_ + ky * dilation_y_ - pad_y_;
    for (std::int64_t kx = 0; kx < kernel_x_; ++kx, into += channels_) {
      const std::int64_t x = ox * stride_x_ + kx * dilation_x_ - pad_x_;
      if (y < 0 || y >= height_ || x < 0 || x >= width_) {
        std::fill_n(into, channels_, 0.0F);
        continue;
      }
      const float* at = view.data.data() + (y * width_ + x) * step_x;
      if (step_c == 1) {
        std::copy_n(at, channels_, into);
      } else {
        for (std::int64_t c = 0; c < channels_; ++c) into[c] = at[c * step_c];
      }
    }
  }
}

}  // namespace espquant::calib
