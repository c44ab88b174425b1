#include <fmt/format.h>

#include "ops/operators.h"
#include "ops/visit.h"
#include "ops/window.h"

/// Conv over one to three spatial axes: X (N,C,...), W (M,C/group,...), B (M).
namespace espquant::ops {
namespace {

Window conv_window_of(const Node& node, const Shape& input, const Shape& weights) {
  return make_window(node.attributes, input, {weights.begin() + 2, weights.end()}, false);
}

void infer_conv(const InferContext& context) {
  require_float(context, 0);
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  require_rank(context, 0, 3, 2 + kMaxSpatialAxes);
  const Shape &x = context.shape(0), &w = context.shape(1);
  const auto rank = static_cast<std::int64_t>(x.size());
  require_rank(context, 1, rank, rank);
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  if (group < 1 || x[1] % group != 0 || w[0] % group != 0)
    malformed(
        fmt::format("group={} does not divide {} input and {} output channels", group, x[1], w[0]));
  if (w[1] != x[1] / group)
    malformed(fmt::format("weights {} expect {} channels in each of {} groups, the input has {}",
                          to_string(w), w[1], group, x[1]));
  const std::vector<std::int64_t> kernel(w.begin() + 2, w.end());
  if (const auto declared = context.node.attributes.get_ints("kernel_shape", kernel);
      declared != kernel)
    malformed(
        fmt::format("kernel_shape {} differs from weights {}", to_string(declared), to_string(w)));
  if (context.has(2)) require_shape(context, 2, {w[0]}, "the bias");
  const Window window = conv_window_of(context.node, x, w);
  set_output(context, 0, context.dtype(0), window_output(window, x[0], w[0], kernel.size()));
}

/// out += weight * the part of `in` that one tap sees.
template <typename T>
void add_tap(const Window& w, const T* in, T weight, const std::array<std::int64_t, 3>& tap,
             T* out) {
  for_each_tap_row(w, tap,
                   [&](std::int64_t from, std::int64_t step, std::int64_t to, std::int64_t count) {
                     if (step == 1)
                       for (std::int64_t i = 0; i < count; ++i)
                         out[to + i] += weight * in[from + i];
                     else
                       for (std::int64_t i = 0; i < count; ++i)
                         out[to + i] += weight * in[from + i * step];
                   });
}

template <typename T>
void convolve(const RunContext& context, const Window& window, std::int64_t group) {
  const Shape &x = context.in(0).shape(), &w = context.in(1).shape();
  const std::int64_t inputs_per_group = w[1], outputs_per_group = w[0] / group;
  const std::int64_t in_plane = in_volume(window), out_plane = out_volume(window);
  const T* in = context.in(0).data<T>().data();
  T* out = context.outputs[0].mutable_data<T>().data();
  for (std::int64_t n = 0; n < x[0]; ++n) {
    const T* weight = context.in(1).data<T>().data();
    for (std::int64_t m = 0; m < w[0]; ++m, out += out_plane) {
      if (context.has(2))
        std::fill_n(out, out_plane, context.in(2).data<T>()[static_cast<std::size_t>(m)]);
      const T* plane = in + (n * x[1] + m / outputs_per_group * inputs_per_group) * in_plane;
      for (std::int64_t c = 0; c < inputs_per_group; ++c, plane += in_plane)
        for_each_tap(window, [&](const auto& tap) { add_tap(window, plane, *weight++, tap, out); });
    }
  }
}

void run_conv(const RunContext& context) {
  const Window window = conv_window_of(context.node, context.in(0).shape(), context.in(1).shape());
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  if (context.outputs[0].size() == 0) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) { convolve<T>(context, window, group); });
}

std::int64_t conv_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  const Shape& w = inputs[1];
  if (w.empty() || w[0] == 0) return 0;
  return saturating_product({element_count(outputs[0]), element_count(w) / w[0]});
}

/// Null where nobody wants it.
template <typename T>
T* gradient_data(const GradientContext& context, std::size_t input) {
  return context.wants(input) ? context.input_gradients[input].mutable_data<T>().data() : nullptr;
}

template <typename T>
void convolve_back(const GradientContext& context, const Window& window, std::int64_t group) {
  const Shape &x = context.in(0).shape(), &w = context.in(1).shape();
  const std::int64_t outputs_per_group = w[0] / group;
  const std::int64_t in_plane = in_volume(window), out_plane = out_volume(window);
  const T* in = context.in(0).data<T>().data();
  const T* weights = context.in(1).data<T>().data();
  const T* dy = context.output_gradients[0].data<T>().data();
  T* const dx = gradient_data<T>(context, 0);
  T* const dw = gradient_data<T>(context, 1);
  T* const db = gradient_data<T>(context, 2);
  for (std::int64_t n = 0; n < x[0]; ++n)
    for (std::int64_t m = 0; m < w[0]; ++m, dy += out_plane) {
      if (db != nullptr)
        for (std::int64_t i = 0; i < out_plane; ++i) db[m] += dy[i];
      std::int64_t at = m * w[1] * kernel_volume(window);
      for (std::int64_t c = 0; c < w[1]; ++c) {
        const std::int64_t plane = (n * x[1] + m / outputs_per_group * w[1] + c) * in_plane;
        for_each_tap(window, [&](const auto& tap) {
          T sum = 0;
          for_each_tap_row(
              window, tap,
              [&](std::int64_t from, std::int64_t step, std::int64_t to, std::int64_t count) {
                for (std::int64_t i = 0; i < count; ++i)
                  sum += in[plane + from + i * step] * dy[to + i];
                if (dx == nullptr) return;
                for (std::int64_t i = 0; i < count; ++i)
                  dx[plane + from + i * step] += weights[at] * dy[to + i];
              });
          if (dw != nullptr) dw[at] += sum;
          ++at;
        });
      }
    }
}

void gradient_conv(const GradientContext& context) {
  const Window window = conv_window_of(context.node, context.in(0).shape(), context.in(1).shape());
  const std::int64_t group = context.node.attributes.get_int("group", 1);
  if (context.outputs[0].size() == 0) return;
  visit_float(context.in(0).dtype(),
              [&]<typename T>(T) { convolve_back<T>(context, window, group); });
}

}  // namespace

const OpDef kConv{"Conv", QuantRule::Weighted, infer_conv, run_conv, gradient_conv, conv_macs};

}  // namespace espquant::ops
