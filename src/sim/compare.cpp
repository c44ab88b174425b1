#include <functional>

#include "sim/broadcast.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// Equal, Greater, GreaterOrEqual, Less, LessOrEqual (ESP-DL 3.15): the raw integers are compared;
/// the result is a bool.
namespace espquant::sim {
namespace {

template <typename F>
Prepared prepare_comparison(const NodeContext& context, F f) {
  const DType dtype = element_type(context);
  require_type(context, 1, dtype);
  if (is_float(dtype)) refuse("ESP-DL compares int8 and int16 only", "Quantize the operands");
  Broadcast broadcast = merge_broadcast(context.input(0).shape, context.input(1).shape);
  Shape shape = broadcast.shape;
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([f, broadcast = std::move(broadcast)](const KernelArgs& args) {
      apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<bool>(0), f);
    });
  });
  Prepared prepared = prepared_with(context, std::move(shape), DType::Bool, std::move(kernel));
  if (context.input(0).exponent() != context.input(1).exponent())
    add_fault(prepared, "exponents-ignored");
  return prepared;
}

}  // namespace

Prepared prepare_equal(const NodeContext& context) {
  return prepare_comparison(context, std::equal_to{});
}
Prepared prepare_greater(const NodeContext& context) {
  return prepare_comparison(context, std::greater{});
}
Prepared prepare_greater_or_equal(const NodeContext& context) {
  return prepare_comparison(context, std::greater_equal{});
}
Prepared prepare_less(const NodeContext& context) {
  return prepare_comparison(context, std::less{});
}
Prepared prepare_less_or_equal(const NodeContext& context) {
  return prepare_comparison(context, std::less_equal{});
}

}  // namespace espquant::sim
