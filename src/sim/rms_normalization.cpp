#include <fmt/format.h>

#include <cmath>

#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// RMSNormalization (ESP-DL 3.18): an exact sum of squares, then float32. The gain is float32 for
/// every type of tensor.
namespace espquant::sim {
namespace {

struct RmsNorm {
  std::int64_t rows = 1, length = 1;
  float epsilon = 1e-5F;
  float in_scale = 1;
  /// From input integers to output integers.
  float ratio = 1;
  Rounding rounding = Rounding::HalfUp;
};

template <typename T>
float mean_square(const T* x, const RmsNorm& n) {
  if constexpr (std::is_floating_point_v<T>) {
    float sum = 0;
    for (std::int64_t j = 0; j < n.length; ++j) sum += x[j] * x[j];
    return sum / static_cast<float>(n.length);
  } else {
    std::int64_t sum = 0;
    for (std::int64_t j = 0; j < n.length; ++j) sum += std::int32_t{x[j]} * x[j];
    if (sizeof(T) == 1) sum = wrap_bits(sum, 32);
    return static_cast<float>(sum) * (n.in_scale * n.in_scale) / static_cast<float>(n.length);
  }
}

template <typename T>
void rms_normalize(const RmsNorm& n, const KernelArgs& args) {
  const auto* gain = args.in<float>(1);
  for (std::int64_t row = 0; row < n.rows; ++row) {
    const T* x = args.in<T>(0) + row * n.length;
    T* y = args.out<T>(0) + row * n.length;
    const float inverse = 1.0F / std::sqrt(mean_square(x, n) + n.epsilon) * n.ratio;
    for (std::int64_t j = 0; j < n.length; ++j) {
      const float result = static_cast<float>(x[j]) * inverse * gain[j];
      if constexpr (std::is_floating_point_v<T>)
        y[j] = result;
      else
        y[j] = saturate<T>(round_to_int(result, n.rounding));
    }
  }
}

}  // namespace

Prepared prepare_rms_normalization(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  require_type(context, 1, DType::Float32);
  const std::size_t axis = checked_axis(context.node.get_int("axis", -1), shape.size());
  RmsNorm n;
  for (std::size_t i = 0; i < shape.size(); ++i) (i < axis ? n.rows : n.length) *= shape[i];
  if (element_count(context.input(1).shape) < n.length)
    refuse(fmt::format("a gain of {} elements for {} that are normalized together",
                       element_count(context.input(1).shape), n.length),
           "Export the model again");
  n.epsilon = context.node.get_float("epsilon", 1e-5F);
  n.rounding = context.target.rounding;
  const TensorDesc output = output_desc(context, 0, shape, dtype);
  if (!is_float(dtype)) {
    n.in_scale = chip_scale(context.input(0).exponent());
    n.ratio = n.in_scale * chip_scale(-output.exponent());
  }
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([n](const KernelArgs& args) { rms_normalize<T>(n, args); });
  });
  return prepared_with(context, shape, dtype, std::move(kernel));
}

}  // namespace espquant::sim
