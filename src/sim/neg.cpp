#include <algorithm>

#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// Neg (ESP-DL 3.12): -q, the least integer becomes the greatest. It never uses a table.
namespace espquant::sim {

Prepared prepare_neg(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([count = element_count(shape)](const KernelArgs& args) {
      std::transform(args.in<T>(0), args.in<T>(0) + count, args.out<T>(0), [](T q) {
        if constexpr (std::is_floating_point_v<T>)
          return -q;
        else
          return narrow<T>(-q);
      });
    });
  });
  Prepared prepared = prepared_with(context, shape, dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace espquant::sim
