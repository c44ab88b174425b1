#include "sim/broadcast.h"
#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// Add and Sub (ESP-DL 3.8): sat(a + b), sat(a - b). Both operands and the result must share one
/// exponent; the kernels do not look at it.
namespace espquant::sim {
namespace {

struct SaturatingAdd {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return narrow<T>(a + b);
  }
};

struct SaturatingSub {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return narrow<T>(a - b);
  }
};

template <typename F>
Prepared prepare_sum(const NodeContext& context, F f) {
  const DType dtype = element_type(context);
  require_type(context, 1, dtype);
  Broadcast broadcast = merge_broadcast(context.input(0).shape, context.input(1).shape);
  Shape shape = broadcast.shape;
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([f, broadcast = std::move(broadcast)](const KernelArgs& args) {
      apply_broadcast(broadcast, args.in<T>(0), args.in<T>(1), args.out<T>(0), f);
    });
  });
  Prepared prepared = prepared_with(context, std::move(shape), dtype, std::move(kernel));
  check_exponents(context, prepared, {0, 1});
  return prepared;
}

}  // namespace

Prepared prepare_add(const NodeContext& context) { return prepare_sum(context, SaturatingAdd{}); }
Prepared prepare_sub(const NodeContext& context) { return prepare_sum(context, SaturatingSub{}); }

}  // namespace espquant::sim
