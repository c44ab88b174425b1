#include <fmt/format.h>

#include "ops/operators.h"
#include "ops/visit.h"
#include "ops/window.h"

/// ConvTranspose over one to three spatial axes: X (N,C,...), W (C,M/group,...), B (M).
namespace espquant::ops {

Window make_transposed_window(const Node& node, const Shape& x, const Shape& w) {
  const std::size_t spatial = x.size() - 2;
  const Attributes& attributes = node.attributes;
  const AutoPad auto_pad = auto_pad_of(attributes);
  const auto strides = spatial_attribute(attributes, "strides", spatial, 1, 1);
  const auto dilations = spatial_attribute(attributes, "dilations", spatial, 1, 1);
  const auto extra = spatial_attribute(attributes, "output_padding", spatial, 0, 0);
  const auto pads = spatial_attribute(attributes, "pads", 2 * spatial, 0, 0);
  const auto wanted = spatial_attribute(attributes, "output_shape", spatial, -1, -1);
  Window window;
  for (std::size_t i = 0; i < spatial; ++i) {
    WindowAxis& axis = window[kMaxSpatialAxes - spatial + i];
    axis.out = x[2 + i];
    axis.kernel = w[2 + i];
    axis.stride = strides[i];
    axis.dilation = dilations[i];
    if (axis.out < 1 || axis.kernel < 1) bad_data("ConvTranspose of an empty input or kernel");
    const std::int64_t full = checked_mul(axis.out - 1, axis.stride) + axis.reach() + extra[i];
    const bool same = auto_pad == AutoPad::SameUpper || auto_pad == AutoPad::SameLower;
    if (wanted[i] >= 0 || same) {
      axis.in = wanted[i] >= 0 ? wanted[i] : checked_mul(axis.out, axis.stride);
      const std::int64_t total = std::max<std::int64_t>(full - axis.in, 0);
      axis.pad_begin = auto_pad == AutoPad::SameUpper ? total / 2 : total - total / 2;
      axis.pad_end = total - axis.pad_begin;
    } else {
      if (auto_pad == AutoPad::NotSet) {
        axis.pad_begin = pads[i];
        axis.pad_end = pads[spatial + i];
      }
      axis.in = full - axis.pad_begin - axis.pad_end;
    }
    if (axis.in < 0)
      bad_data(fmt::format("pads of {} and {} leave nothing of an output of extent {}",
                           axis.pad_begin, axis.pad_end, full));
  }
  return window;
}

namespace {

void infer_conv_transpose(const InferContext& context) {
  require_float(context, 0);
  context.shape(1);
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  require_rank(context, 0, 3, 2 + kMaxSpatialAxes);
  const Shape &x = context.shape(0), &w = context.shape(1);
  const auto rank = static_cast<std::int64_t>(x.size());
  require_rank(context, 1, rank, rank);
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  if (group < 1 || x[1] % group != 0)
    malformed(fmt::format("group={} does not divide {} input channels", group, x[1]));
  if (w[0] != x[1])
    malformed(fmt::format("weights {} expect {} input channels, the input has {}", to_string(w),
                          w[0], x[1]));
  const std::vector<std::int64_t> kernel(w.begin() + 2, w.end());
  if (const auto declared = context.node.attributes.get_ints("kernel_shape", kernel);
      declared != kernel)
    malformed(
        fmt::format("kernel_shape {} differs from weights {}", to_string(declared), to_string(w)));
  const std::int64_t channels = checked_mul(w[1], group);
  if (context.has(2)) require_shape(context, 2, {channels}, "the bias");
  const Window window = make_transposed_window(context.node, x, w);
  Shape out{x[0], channels};
  for (std::size_t i = kMaxSpatialAxes - kernel.size(); i < window.size(); ++i)
    out.push_back(window[i].in);
  set_output(context, 0, context.dtype(0), std::move(out));
}

/// y += weight * x, each x at the place of y that one tap reaches.
template <typename T>
void scatter_tap(const Window& w, const T* x, T weight, const std::array<std::int64_t, 3>& tap,
                 T* y) {
  for_each_tap_row(w, tap,
                   [&](std::int64_t to, std::int64_t step, std::int64_t from, std::int64_t count) {
                     for (std::int64_t i = 0; i < count; ++i)
                       y[to + i * step] += weight * x[from + i];
                   });
}

template <typename T>
void run_typed(const RunContext& context) {
  const Shape &x = context.in(0).shape(), &w = context.in(1).shape();
  const Window window = make_transposed_window(context.node, x, w);
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  const std::int64_t per_group = x[1] / group, channels = w[1] * group;
  const std::int64_t x_plane = out_volume(window), y_plane = in_volume(window);
  const T* from = context.in(0).data<T>().data();
  T* out = context.outputs[0].mutable_data<T>().data();
  for (std::int64_t n = 0; n < x[0]; ++n) {
    const T* weight = context.in(1).data<T>().data();
    T* image = out + n * channels * y_plane;
    if (context.has(2))
      for (std::int64_t m = 0; m < channels; ++m)
        std::fill_n(image + m * y_plane, y_plane,
                    context.in(2).data<T>()[static_cast<std::size_t>(m)]);
    for (std::int64_t c = 0; c < x[1]; ++c, from += x_plane)
      for (std::int64_t m = 0; m < w[1]; ++m)
        for_each_tap(window, [&](const auto& tap) {
          scatter_tap(window, from, *weight++, tap, image + (c / per_group * w[1] + m) * y_plane);
        });
  }
}

void run_conv_transpose(const RunContext& context) {
  if (context.outputs[0].size() == 0) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) { run_typed<T>(context); });
}

std::int64_t conv_transpose_macs(const Node&, std::span<const Shape> inputs,
                                 std::span<const Shape>) {
  const Shape& w = inputs[1];
  if (w.empty() || w[0] == 0) return 0;
  return saturating_product({element_count(inputs[0]), element_count(w) / w[0]});
}

template <typename T>
void run_typed_back(const GradientContext& context) {
  const Shape &x = context.in(0).shape(), &w = context.in(1).shape();
  const Window window = make_transposed_window(context.node, x, w);
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  const std::int64_t per_group = x[1] / group, channels = w[1] * group;
  const std::int64_t x_plane = out_volume(window), y_plane = in_volume(window);
  const T* from = context.in(0).data<T>().data();
  const T* weights = context.in(1).data<T>().data();
  const T* gradient = context.output_gradients[0].data<T>().data();
  const auto data_of = [&](std::size_t i) {
    return context.wants(i) ? context.input_gradients[i].mutable_data<T>().data() : nullptr;
  };
  T *dx = data_of(0), *dw = data_of(1), *db = data_of(2);
  for (std::int64_t n = 0; n < x[0]; ++n) {
    const T* image = gradient + n * channels * y_plane;
    if (db != nullptr)
      for (std::int64_t i = 0; i < channels * y_plane; ++i) db[i / y_plane] += image[i];
    std::int64_t weight = 0;
    for (std::int64_t c = 0; c < x[1]; ++c) {
      const std::int64_t plane = (n * x[1] + c) * x_plane;
      for (std::int64_t m = 0; m < w[1]; ++m) {
        const T* dy = image + (c / per_group * w[1] + m) * y_plane;
        for_each_tap(window, [&](const auto& tap) {
          T sum = 0;
          for_each_tap_row(
              window, tap,
              [&](std::int64_t to, std::int64_t step, std::int64_t at, std::int64_t count) {
                for (std::int64_t i = 0; i < count; ++i)
                  sum += from[plane + at + i] * dy[to + i * step];
                if (dx == nullptr) return;
                for (std::int64_t i = 0; i < count; ++i)
                  dx[plane + at + i] += weights[weight] * dy[to + i * step];
              });
          if (dw != nullptr) dw[weight] += sum;
          ++weight;
        });
      }
    }
  }
}

void gradient_conv_transpose(const GradientContext& context) {
  if (context.outputs[0].size() == 0) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) { run_typed_back<T>(context); });
}

}  // namespace

const OpDef kConvTranspose{"ConvTranspose",    QuantRule::Weighted,     infer_conv_transpose,
                           run_conv_transpose, gradient_conv_transpose, conv_transpose_macs};

}  // namespace espquant::ops
