#include <cmath>

#include "sim/broadcast.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// Pow and Mod (ESP-DL 3.10): the C library's powf and fmodf on dequantized operands.
namespace espquant::sim {
namespace {

float power(float a, float b) { return std::pow(a, b); }
float remainder_or_zero(float a, float b) { return b != 0.0F ? std::fmod(a, b) : 0.0F; }

template <typename F>
Prepared prepare_float_function(const NodeContext& context, F f) {
  const DType dtype = element_type(context);
  require_type(context, 1, dtype);
  Broadcast broadcast = merge_broadcast(context.input(0).shape, context.input(1).shape);
  const TensorDesc output = output_desc(context, 0, broadcast.shape, dtype);

  auto kernel = visit_element_type(dtype, [&]<typename T>() -> std::unique_ptr<Kernel> {
    if constexpr (std::is_floating_point_v<T>) {
      return make_kernel([f, broadcast = std::move(broadcast)](const KernelArgs& args) {
        apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0), f);
      });
    } else {
      const float scale0 = chip_scale(context.input(0).exponent());
      const float scale1 = chip_scale(context.input(1).exponent());
      const float inv_scale = chip_scale(-output.exponent());
      return make_kernel([=, rounding = context.target.rounding,
                          broadcast = std::move(broadcast)](const KernelArgs& args) {
        apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0), [&](T a, T b) {
          const float result = f(static_cast<float>(a) * scale0, static_cast<float>(b) * scale1);
          return quantize_value<T>(result, inv_scale, rounding);
        });
      });
    }
  });
  return prepared_with(context, output.shape, dtype, std::move(kernel));
}

}  // namespace

Prepared prepare_pow(const NodeContext& context) { return prepare_float_function(context, power); }
Prepared prepare_mod(const NodeContext& context) {
  return prepare_float_function(context, remainder_or_zero);
}

}  // namespace espquant::sim
