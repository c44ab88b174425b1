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
  const Range depth = w[0].outputs_of(tap[0]), rows = w[1].outputs_of(tap[1]),
              columns = w[2].outputs_of(tap[2]);
  const std::int64_t stride = w[2].stride;
  for (std::int64_t d = depth.begin; d < depth.end; ++d) {
    const std::int64_t in_d = w[0].origin(d) + tap[0] * w[0].dilation;
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
      const std::int64_t in_y = w[1].origin(y) + tap[1] * w[1].dilation;
      const T* from =
          in + (in_d * w[1].in + in_y) * w[2].in + tap[2] * w[2].dilation - w[2].pad_begin;
      T* to = out + (d * w[1].out + y) * w[2].out;
      if (stride == 1)
        for (std::int64_t x = columns.begin; x < columns.end; ++x) to[x] += weight * from[x];
      else
        for (std::int64_t x = columns.begin; x < columns.end; ++x)
          to[x] += weight * from[x * stride];
    }
  }
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
        for (std::int64_t d = 0; d < window[0].kernel; ++d)
          for (std::int64_t ky = 0; ky < window[1].kernel; ++ky)
            for (std::int64_t kx = 0; kx < window[2].kernel; ++kx)
              add_tap(window, plane, *weight++, {d, ky, kx}, out);
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

}  // namespace

const OpDef kConv{"Conv", QuantRule::Weighted, infer_conv, run_conv, conv_macs};

}  // namespace espquant::ops
