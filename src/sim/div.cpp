#include <array>

#include "sim/broadcast.h"
#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// Div (ESP-DL 3.10), in float32 whatever the operands are, by four formulas that differ in the
/// last bit: rows over rows, rows over one divisor, one dividend over rows, and for int8 with a
/// single-element operand a table.
namespace espquant::sim {
namespace {

constexpr int kTableSize = 256;
constexpr int kDivTableOrigin = 128;

template <typename T>
T over_zero(T dividend) {
  return dividend > 0 ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
}

struct DivScales {
  float scale;  ///< 2^(e0 - e1 - e_out)
  Rounding rounding;

  template <typename T>
  T rounded(float v) const {
    return saturate<T>(round_to_int(v, rounding));
  }
};

template <typename T>
void divide_row(const DivScales& s, const Broadcast& b, const T* x, const T* y, T* out) {
  // With one element on both sides the runtime tests the divisor first, except for int8.
  const bool single_dividend = b.single0 && (sizeof(T) == 1 || !b.single1);
  const bool single_divisor = b.single1 && !single_dividend;
  const float reciprocal = s.scale / static_cast<float>(y[0]);
  const float dividend = static_cast<float>(x[0]) * s.scale;
  for (std::int64_t i = 0; i < b.row(); ++i) {
    const T q0 = x[b.single0 ? 0 : i], q1 = y[b.single1 ? 0 : i];
    if (q0 == 0)
      out[i] = 0;
    else if (q1 == 0)
      out[i] = over_zero(q0);
    else if (single_divisor)
      out[i] = s.rounded<T>(static_cast<float>(q0) * reciprocal);
    else if (single_dividend)
      out[i] = s.rounded<T>(dividend / static_cast<float>(q1));
    else
      out[i] = s.rounded<T>(static_cast<float>(q0) * s.scale / static_cast<float>(q1));
  }
}

using DivTable = std::array<std::int8_t, kTableSize>;

DivTable table_of_dividend(const DivScales& s, std::int8_t dividend) {
  const float real = static_cast<float>(dividend) * s.scale;
  DivTable table;
  for (int i = -kDivTableOrigin; i < kDivTableOrigin; ++i)
    table[i + kDivTableOrigin] = i == 0 ? static_cast<std::int8_t>(real > 0 ? 127 : -128)
                                        : s.rounded<std::int8_t>(real / static_cast<float>(i));
  return table;
}

DivTable table_of_divisor(const DivScales& s, std::int8_t divisor) {
  const float reciprocal = s.scale / static_cast<float>(divisor);
  DivTable table;
  for (int i = -kDivTableOrigin; i < kDivTableOrigin; ++i)
    table[i + kDivTableOrigin] =
        i == 0 ? std::int8_t{0} : s.rounded<std::int8_t>(static_cast<float>(i) * reciprocal);
  return table;
}

std::unique_ptr<Kernel> table_div(const DivScales& scales, bool single_dividend,
                                  std::int64_t count) {
  return make_kernel([=](const KernelArgs& args) {
    const auto *x = args.in<std::int8_t>(0), *y = args.in<std::int8_t>(1);
    const DivTable table =
        single_dividend ? table_of_dividend(scales, *x) : table_of_divisor(scales, *y);
    const std::int8_t* indices = single_dividend ? y : x;
    auto* out = args.out<std::int8_t>(0);
    for (std::int64_t i = 0; i < count; ++i) out[i] = table[indices[i] + kDivTableOrigin];
  });
}

std::unique_ptr<Kernel> float_div(Broadcast broadcast) {
  return make_kernel([broadcast = std::move(broadcast)](const KernelArgs& args) {
    const auto *a = args.in<float>(0), *b = args.in<float>(1);
    auto* out = args.out<float>(0);
    if (broadcast.single1) {
      // One divisor per row: the runtime multiplies by its reciprocal.
      for_each_row(broadcast, [&](std::int64_t o, std::int64_t i0, std::int64_t i1) {
        const auto reciprocal = static_cast<float>(1.0 / static_cast<double>(b[i1]));
        for (std::int64_t i = 0; i < broadcast.row(); ++i)
          out[o + i] = a[i0 + (broadcast.single0 ? 0 : i)] * reciprocal;
      });
    } else {
      apply_broadcast(broadcast, a, b, out, std::divides{});
    }
  });
}

}  // namespace

Prepared prepare_div(const NodeContext& context) {
  const DType dtype = element_type(context);
  require_type(context, 1, dtype);
  Broadcast broadcast = merge_broadcast(context.input(0).shape, context.input(1).shape);
  const TensorDesc output = output_desc(context, 0, broadcast.shape, dtype);
  const std::int64_t count = element_count(output.shape);
  const bool scalar0 = element_count(context.input(0).shape) == 1;
  const bool scalar1 = element_count(context.input(1).shape) == 1;
  const bool uses_table = dtype == DType::Int8 && (scalar0 || scalar1);

  auto kernel = visit_element_type(dtype, [&]<typename T>() -> std::unique_ptr<Kernel> {
    if constexpr (std::is_floating_point_v<T>) {
      return float_div(std::move(broadcast));
    } else {
      const DivScales scales{chip_scale(-output.exponent()) *
                                 chip_scale(context.input(0).exponent()) /
                                 chip_scale(context.input(1).exponent()),
                             context.target.rounding};
      if (uses_table) return table_div(scales, scalar0, count);
      return make_kernel([scales, broadcast = std::move(broadcast)](const KernelArgs& args) {
        for_each_row(broadcast, [&](std::int64_t o, std::int64_t i0, std::int64_t i1) {
          divide_row(scales, broadcast, args.in<T>(0) + i0, args.in<T>(1) + i1, args.out<T>(0) + o);
        });
      });
    }
  });
  Prepared prepared = prepared_with(context, output.shape, dtype, std::move(kernel));
  // The runtime builds the table once, from the values of the first run.
  if (uses_table && context.constants[scalar0 ? 0 : 1] == nullptr)
    add_fault(prepared, "div-table-of-first-run");
  return prepared;
}

}  // namespace espquant::sim
