#include <fmt/format.h>

#include <limits>

#include "ops/operators.h"
#include "ops/visit.h"
#include "ops/window.h"

/// AveragePool, MaxPool over one to three spatial axes of (N,C,...).
namespace espquant::ops {
namespace {

Window pool_window_of(const Node& node, const Shape& input) {
  const std::size_t spatial = input.size() - 2;
  const auto kernel = spatial_attribute(node.attributes, "kernel_shape", spatial, 0, 1);
  const bool ceil_mode = node.attributes.get_int("ceil_mode", 0) != 0;
  Window window = make_window(node.attributes, input, kernel, ceil_mode);
  for (const WindowAxis& axis : window)
    if (axis.pad_begin >= axis.reach() || axis.pad_end >= axis.reach())
      malformed(fmt::format(
          "pads of {} and {} around a kernel of extent {}: a window would see nothing but padding",
          axis.pad_begin, axis.pad_end, axis.reach()));
  return window;
}

Shape pooled_shape(const InferContext& context) {
  require_rank(context, 0, 3, 2 + kMaxSpatialAxes);
  const Shape& x = context.shape(0);
  if (!context.node.attributes.has("kernel_shape"))
    malformed("attribute 'kernel_shape' is missing");
  return window_output(pool_window_of(context.node, x), x[0], x[1], x.size() - 2);
}

void infer_average(const InferContext& context) {
  require_float(context, 0);
  set_output(context, 0, context.dtype(0), pooled_shape(context));
}

void infer_max(const InferContext& context) {
  const Shape shape = pooled_shape(context);
  set_output(context, 0, context.dtype(0), shape);
  set_output(context, 1, DType::Int64, shape);
}

/// Calls f(plane, z, y, x) for every output element, in memory order.
template <typename F>
void for_each_output(const Shape& in, const Window& w, F&& f) {
  for (std::int64_t plane = 0; plane < in[0] * in[1]; ++plane)
    for (std::int64_t z = 0; z < w[0].out; ++z)
      for (std::int64_t y = 0; y < w[1].out; ++y)
        for (std::int64_t x = 0; x < w[2].out; ++x) f(plane, z, y, x);
}

/// Calls f(offset in the plane) for every input element under output (z, y, x).
template <typename F>
void for_each_pool_tap(const Window& w, std::int64_t z, std::int64_t y, std::int64_t x, F&& f) {
  const Range tz = w[0].taps(z), ty = w[1].taps(y), tx = w[2].taps(x);
  for (std::int64_t i = tz.begin; i < tz.end; ++i)
    for (std::int64_t j = ty.begin; j < ty.end; ++j)
      for (std::int64_t k = tx.begin; k < tx.end; ++k)
        f(((w[0].origin(z) + i * w[0].dilation) * w[1].in + w[1].origin(y) + j * w[1].dilation) *
              w[2].in +
          w[2].origin(x) + k * w[2].dilation);
}

/// Taps that count: those on the input, or on the padded input, but never those that ceil_mode adds
/// behind it.
double counted_taps(const WindowAxis& axis, std::int64_t o, bool include_pad) {
  const Range taps =
      include_pad ? axis.taps_within(o, -axis.pad_begin, axis.in + axis.pad_end) : axis.taps(o);
  return static_cast<double>(taps.end - taps.begin);
}

void run_average_pool(const RunContext& context) {
  const Tensor& in = context.in(0);
  const Window w = pool_window_of(context.node, in.shape());
  const bool include_pad = context.node.attributes.get_int("count_include_pad", 0) != 0;
  visit_float(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    T* to = context.outputs[0].mutable_data<T>().data();
    for_each_output(
        in.shape(), w, [&](std::int64_t plane, std::int64_t z, std::int64_t y, std::int64_t x) {
          T sum = 0;
          for_each_pool_tap(w, z, y, x,
                            [&](std::int64_t at) { sum += from[plane * in_volume(w) + at]; });
          const double count = counted_taps(w[0], z, include_pad) *
                               counted_taps(w[1], y, include_pad) *
                               counted_taps(w[2], x, include_pad);
          *to++ = count == 0 ? T{0} : sum / static_cast<T>(count);
        });
  });
}

/// A row-major offset in the plane, renumbered with the first axis fastest.
std::int64_t column_major(const Window& w, std::int64_t offset) {
  const std::int64_t x = offset % w[2].in, y = offset / w[2].in % w[1].in,
                     z = offset / w[2].in / w[1].in;
  return z + w[0].in * (y + w[1].in * x);
}

void run_max_pool(const RunContext& context) {
  const Tensor& in = context.in(0);
  const Window w = pool_window_of(context.node, in.shape());
  const bool by_column = context.node.attributes.get_int("storage_order", 0) != 0;
  const bool with_indices = context.outputs.size() > 1;
  std::int64_t* index =
      with_indices ? context.outputs[1].mutable_data<std::int64_t>().data() : nullptr;
  visit_number(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    T* to = context.outputs[0].mutable_data<T>().data();
    for_each_output(
        in.shape(), w, [&](std::int64_t plane, std::int64_t z, std::int64_t y, std::int64_t x) {
          const T* elements = from + plane * in_volume(w);
          T best = std::numeric_limits<T>::lowest();
          std::int64_t best_at = -1;
          for_each_pool_tap(w, z, y, x, [&](std::int64_t at) {
            if (best_at >= 0 && !(elements[at] > best)) return;
            best = elements[at];
            best_at = at;
          });
          *to++ = best;
          if (with_indices)
            *index++ = plane * in_volume(w) + (by_column ? column_major(w, best_at) : best_at);
        });
  });
}

void gradient_average_pool(const GradientContext& context) {
  if (!context.wants(0)) return;
  const Shape& in = context.in(0).shape();
  const Window w = pool_window_of(context.node, in);
  const bool include_pad = context.node.attributes.get_int("count_include_pad", 0) != 0;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const T* dy = context.output_gradients[0].data<T>().data();
    T* dx = context.input_gradients[0].mutable_data<T>().data();
    for_each_output(in, w, [&](std::int64_t plane, std::int64_t z, std::int64_t y, std::int64_t x) {
      const double count = counted_taps(w[0], z, include_pad) * counted_taps(w[1], y, include_pad) *
                           counted_taps(w[2], x, include_pad);
      const T share = count == 0 ? T{0} : *dy / static_cast<T>(count);
      ++dy;
      for_each_pool_tap(w, z, y, x,
                        [&](std::int64_t at) { dx[plane * in_volume(w) + at] += share; });
    });
  });
}

/// Of several equal ones, the first is the largest.
void gradient_max_pool(const GradientContext& context) {
  if (!context.wants(0) || !context.output_gradients[0].defined()) return;
  const Shape& in = context.in(0).shape();
  const Window w = pool_window_of(context.node, in);
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const T* from = context.in(0).data<T>().data();
    const T* out = context.outputs[0].data<T>().data();
    const T* dy = context.output_gradients[0].data<T>().data();
    T* dx = context.input_gradients[0].mutable_data<T>().data();
    for_each_output(in, w, [&](std::int64_t plane, std::int64_t z, std::int64_t y, std::int64_t x) {
      bool found = false;
      for_each_pool_tap(w, z, y, x, [&](std::int64_t at) {
        const std::int64_t i = plane * in_volume(w) + at;
        if (found || from[i] != *out) return;
        found = true;
        dx[i] += *dy;
      });
      ++out;
      ++dy;
    });
  });
}

}  // namespace

const OpDef kAveragePool{"AveragePool", QuantRule::Independent, infer_average, run_average_pool,
                         gradient_average_pool};
const OpDef kMaxPool{"MaxPool", QuantRule::PassThrough, infer_max, run_max_pool, gradient_max_pool};

}  // namespace espquant::ops
