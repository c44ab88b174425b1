#include <fmt/format.h>

#include <functional>

#include "sim/broadcast.h"
#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"
#include "sim/vector_shift.h"

/// Mul (ESP-DL 3.9). S3 and P4 multiply rows of at least one vector in integers and shift; shorter
/// rows, and every row of the portable kernels, go through float32, which rounds int16 products.
namespace espquant::sim {
namespace {

template <typename T, typename Shift>
std::unique_ptr<Kernel> vector_mul(Broadcast broadcast, Shift shift) {
  return make_kernel([broadcast = std::move(broadcast), shift](const KernelArgs& args) {
    apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0),
                    [shift](T a, T b) { return narrow<T>(shift(std::int32_t{a} * b)); });
  });
}

template <typename T>
std::unique_ptr<Kernel> float_mul(Broadcast broadcast, float scale, Rounding rounding) {
  return visit_rounding(rounding, [&]<Rounding kRounding>() {
    return make_kernel([broadcast = std::move(broadcast), scale](const KernelArgs& args) {
      apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0), [scale](T a, T b) {
        return round_saturate<T, kRounding>(static_cast<float>(std::int32_t{a} * b) * scale);
      });
    });
  });
}

bool has_vector_rows(const NodeContext& context, const Broadcast& broadcast, int bits) {
  return context.target.family != Family::C && broadcast.row() >= context.target.lanes(bits);
}

template <typename T>
std::unique_ptr<Kernel> quantized_mul(const NodeContext& context, Broadcast broadcast, int shift) {
  constexpr bool kInt8 = sizeof(T) == 1;
  const bool vector_rows = has_vector_rows(context, broadcast, 8 * sizeof(T));
  if (vector_rows && shift < 0)
    refuse(
        fmt::format("the product must be shifted left by {}, which the vector unit cannot", -shift),
        "Give the result an exponent of at least the sum of the operands' exponents");
  // In int8 both ways agree.
  if (vector_rows && (kInt8 || uses_vector_kernels(context))) {
    if (context.target.family == Family::S3)
      return vector_mul<T>(std::move(broadcast), S3Shift(shift, kInt8));
    return vector_mul<T>(std::move(broadcast), P4Shift(shift));
  }
  const float scale = chip_scale(context.input(0).exponent()) *
                      chip_scale(context.input(1).exponent()) *
                      chip_scale(-context.declared[0].exponent());
  return float_mul<T>(std::move(broadcast), scale, context.target.rounding);
}

}  // namespace

Prepared prepare_mul(const NodeContext& context) {
  const DType dtype = element_type(context);
  require_type(context, 1, dtype);
  Broadcast broadcast = merge_broadcast(context.input(0).shape, context.input(1).shape);
  const TensorDesc output = output_desc(context, 0, broadcast.shape, dtype);
  const int shift = output.exponent() - context.input(0).exponent() - context.input(1).exponent();

  const bool differs_on_p4 = dtype == DType::Int16 && has_vector_rows(context, broadcast, 16);

  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>)
      return make_kernel([broadcast = std::move(broadcast)](const KernelArgs& args) {
        apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0), std::multiplies{});
      });
    else
      return quantized_mul<T>(context, std::move(broadcast), shift);
  });
  Prepared prepared = prepared_with(context, output.shape, dtype, std::move(kernel));
  if (differs_on_p4) note_portable_kernel(context, prepared);
  return prepared;
}

}  // namespace espquant::sim
