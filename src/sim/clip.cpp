#include <algorithm>
#include <limits>

#include "sim/lut.h"
#include "sim/operators.h"
#include "sim/program.h"

/// Clip (ESP-DL 3.12): int8 by the node's table where it carries one, else the raw integer is
/// clipped to the raw limits and then changes its exponent.
namespace espquant::sim {
namespace {

template <typename T>
T first_element(const espdl::Constant& constant) {
  const auto values = constant.data.data<T>();
  if (values.empty())
    throw Error(ErrorCode::Malformed, "a limit of Clip has no elements").tensor(constant.name);
  return values[0];
}

template <typename T>
struct Limits {
  /// Where a float limit is missing, the runtime takes the least positive float for the least.
  T low = std::numeric_limits<T>::min();
  T high = std::numeric_limits<T>::max();

  T clip(T v) const { return v < low ? low : v > high ? high : v; }
};

template <typename T>
Limits<T> limits_of(const NodeContext& context) {
  Limits<T> limits;
  if (context.has_input(1)) {
    require_type(context, 1, dtype_of<T>);
    limits.low = first_element<T>(context.constant(1));
  }
  if (context.has_input(2)) {
    require_type(context, 2, dtype_of<T>);
    limits.high = first_element<T>(context.constant(2));
  }
  return limits;
}

template <typename T, typename F>
std::unique_ptr<Kernel> map_kernel(std::int64_t count, F f) {
  return make_kernel([count, f](const KernelArgs& args) {
    std::transform(args.in<T>(0), args.in<T>(0) + count, args.out<T>(0), f);
  });
}

template <typename T>
std::unique_ptr<Kernel> clip_kernel(const NodeContext& context) {
  const std::int64_t count = element_count(context.input(0).shape);
  const Limits<T> limits = limits_of<T>(context);
  if constexpr (std::is_floating_point_v<T>) {
    return map_kernel<T>(count, [limits](T v) { return limits.clip(v); });
  } else {
    const float scale =
        chip_scale(context.input(0).exponent()) * chip_scale(-context.declared[0].exponent());
    return map_kernel<T>(count, [limits, scale, rounding = context.target.rounding](T q) {
      return quantize_value<T>(static_cast<float>(limits.clip(q)), scale, rounding);
    });
  }
}

std::unique_ptr<Kernel> assign_kernel(const NodeContext& context, const TensorDesc& output) {
  return make_kernel(
      [from = context.input(0), output, target = &context.target](const KernelArgs& args) {
        assign(from, args.inputs[0], output, args.outputs[0], *target);
      });
}

}  // namespace

Prepared prepare_clip(const NodeContext& context) {
  if (uses_int8_lut(context)) return prepare_table_lookup(context);
  const DType dtype = element_type(context);
  const TensorDesc output = output_desc(context, 0, context.input(0).shape, dtype);
  if (context.inputs.size() < 2)
    return prepared_with(context, output.shape, dtype, assign_kernel(context, output));

  auto kernel = visit_element_type(dtype, [&]<typename T>() { return clip_kernel<T>(context); });
  Prepared prepared = prepared_with(context, output.shape, dtype, std::move(kernel));
  for (std::size_t limit : {std::size_t{1}, std::size_t{2}})
    if (context.has_input(limit) && !is_float(dtype) &&
        context.inputs[limit].exponent() != context.input(0).exponent())
      add_fault(prepared, "clip-limits-ignore-exponents");
  if (is_float(dtype) && !context.has_input(1)) add_fault(prepared, "clip-float-without-minimum");
  return prepared;
}

}  // namespace espquant::sim
