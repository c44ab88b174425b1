#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "ops/operators.h"
#include "ops/unary.h"

/// Clip; the bounds are attributes before opset 11, inputs since.
namespace espquant::ops {
namespace {

void infer_clip(const InferContext& context) {
  if (context.opset < 11) require_float(context, 0);
  if (context.opset >= 11) {
    for (std::size_t i = 1; i < 3; ++i) {
      if (!context.has(i)) continue;
      require_same_dtype(context, 0, i);
      // A bound of shape (1) is not ONNX, but exporters write it.
      if (element_count(context.shape(i)) != 1)
        malformed(fmt::format("bound of shape {}, expected a scalar", to_string(context.shape(i))));
    }
  }
  infer_map(context);
}

/// Of a RunContext or GradientContext.
template <typename T, typename Context>
std::pair<T, T> bounds_of(const Context& context) {
  T lo = std::numeric_limits<T>::lowest(), hi = std::numeric_limits<T>::max();
  if (context.opset >= 11) {
    if (context.has(1)) lo = context.in(1).template data<T>()[0];
    if (context.has(2)) hi = context.in(2).template data<T>()[0];
  } else if constexpr (std::is_floating_point_v<T>) {
    lo = static_cast<T>(
        context.node.attributes.get_float("min", std::numeric_limits<float>::lowest()));
    hi =
        static_cast<T>(context.node.attributes.get_float("max", std::numeric_limits<float>::max()));
  }
  return {lo, hi};
}

void run_clip(const RunContext& context) {
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    const auto [lo, hi] = bounds_of<T>(context);
    // ONNX: max wins where min exceeds it.
    map_elements<T>(context.in(0), context.outputs[0],
                    [lo = lo, hi = hi](T x) { return std::min(std::max(x, lo), hi); });
  });
}

/// Where the input is beyond a bound, the bound gets what would have been the input's.
void gradient_clip(const GradientContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto [lo, hi] = bounds_of<T>(context);
    const auto x = context.in(0).data<T>(), dy = context.output_gradients[0].data<T>();
    std::array<T*, 3> to{};
    for (std::size_t i = 0; i < 3; ++i)
      if (context.wants(i)) to[i] = context.input_gradients[i].mutable_data<T>().data();
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] > lo && x[i] < hi) {
        if (to[0] != nullptr) to[0][i] += dy[i];
      } else if (T* bound = x[i] <= lo && lo < hi ? to[1] : to[2]; bound != nullptr) {
        *bound += dy[i];
      }
    }
  });
}

}  // namespace

const OpDef kClip{"Clip", QuantRule::Independent, infer_clip, run_clip, gradient_clip};

}  // namespace espquant::ops
