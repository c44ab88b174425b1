#include <cmath>

#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// LpNormalization (ESP-DL 3.18): the norm is taken of the raw integers, whose exponent cancels. A
/// norm of 0 gives 0.
namespace espquant::sim {
namespace {

struct LpNorm {
  AxisSplit split;
  bool absolute = false;  ///< p is 1
  float inv_scale = 1;
  Rounding rounding = Rounding::HalfUp;

  bool innermost() const { return split.inner == 1; }
};

/// Four squares are summed before they are added where the runtime unrolls its loop.
float sum_of_squares(const float* x, std::int64_t length, std::int64_t step) {
  float sum = 0;
  std::int64_t i = 0;
  if (step == 1)
    for (; i + 3 < length; i += 4)
      sum += x[i] * x[i] + x[i + 1] * x[i + 1] + x[i + 2] * x[i + 2] + x[i + 3] * x[i + 3];
  for (; i < length; ++i) sum += x[i * step] * x[i * step];
  return sum;
}

template <typename T>
float sum_of_squares(const T* x, std::int64_t length, std::int64_t step) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < length; ++i) sum += std::int32_t{x[i * step]} * x[i * step];
  return static_cast<float>(sizeof(T) == 1 ? wrap_bits(sum, 32) : sum);
}

template <typename T>
float inverse_norm(const LpNorm& n, const T* x) {
  const std::int64_t step = n.split.inner;
  if (n.absolute) {
    float sum = 0;
    for (std::int64_t i = 0; i < n.split.length; ++i)
      sum += std::fabs(static_cast<float>(x[i * step]));
    return sum > 0 ? 1.0F / sum : 0.0F;
  }
  const float sum = sum_of_squares(x, n.split.length, step);
  return sum > 0 ? 1.0F / std::sqrt(sum) : 0.0F;
}

/// Along the last axis the output's scale is folded into the norm first.
template <typename T>
T scaled(const LpNorm& n, T q, float inverse) {
  const auto x = static_cast<float>(q);
  if constexpr (std::is_floating_point_v<T>)
    return x * inverse;
  else if (n.innermost())
    return saturate<T>(round_to_int(x * (inverse * n.inv_scale), n.rounding));
  else
    return quantize_value<T>(x * inverse, n.inv_scale, n.rounding);
}

template <typename T>
void lp_normalize(const LpNorm& n, const KernelArgs& args) {
  const std::int64_t step = n.split.inner;
  for (std::int64_t o = 0; o < n.split.outer; ++o)
    for (std::int64_t k = 0; k < step; ++k) {
      const std::int64_t first = o * n.split.length * step + k;
      const T* x = args.in<T>(0) + first;
      T* y = args.out<T>(0) + first;
      const float inverse = inverse_norm(n, x);
      for (std::int64_t i = 0; i < n.split.length; ++i)
        y[i * step] = inverse > 0 ? scaled(n, x[i * step], inverse) : T{0};
    }
}

}  // namespace

Prepared prepare_lp_normalization(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  if (shape.empty()) refuse("LpNormalization of a tensor without axes", "Drop the node");
  LpNorm n;
  n.split = split_at(shape, checked_axis(context.node.get_int("axis", -1), shape.size()));
  n.absolute = context.node.get_int("p", 2) == 1;
  n.rounding = context.target.rounding;
  const TensorDesc output = output_desc(context, 0, shape, dtype);
  if (!is_float(dtype)) n.inv_scale = chip_scale(-output.exponent());
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([n](const KernelArgs& args) { lp_normalize<T>(n, args); });
  });
  return prepared_with(context, shape, dtype, std::move(kernel));
}

}  // namespace espquant::sim
