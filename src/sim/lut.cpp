#include "sim/lut.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "sim/operators.h"

/// Table look-up (ESP-DL 3.12): int8 by value, int16 at the nearest grid point, never interpolated.
namespace espquant::sim {
namespace {

constexpr std::int64_t kInt16Values = 65536;
constexpr int kInt16Origin = 32768;

const espdl::Constant& table_of(const NodeContext& context) {
  const std::string name = context.node.get_string("lut", "");
  if (name.empty())
    refuse(fmt::format("{} without a table", context.node.op),
           "Export the model again: the attribute 'lut' must name an initializer");
  const espdl::Constant* table = context.model.find_initializer(name);
  if (table == nullptr)
    throw Error(ErrorCode::Malformed, "the table of the attribute 'lut' is missing")
        .node(context.node.name)
        .tensor(name);
  return *table;
}

void check_table(const NodeContext& context, const espdl::Constant& table, DType dtype) {
  if (table.data.dtype() != dtype)
    refuse(fmt::format("a table of {} for tensors of {}", to_string(table.data.dtype()),
                       to_string(dtype)),
           "Export the model again");
  if (table.exponent() != context.declared[0].exponent())
    refuse(fmt::format("the table's exponent is {}, the output's {}: ESP-DL asserts that they are "
                       "equal",
                       table.exponent(), context.declared[0].exponent()),
           "Export the model again");
}

/// log2 of the distance of two grid points.
int grid_shift(const espdl::Constant& table) {
  const std::int64_t points = table.data.size();
  // A table of every value has no end point; ESP-DL's division gives the step 1 for it as well.
  if (points == kInt16Values) return 0;
  const std::int64_t step = points < 2 ? 0 : kInt16Values / (points - 1);
  if (step < 1 || !std::has_single_bit(static_cast<std::uint64_t>(step)) ||
      step * (points - 1) != kInt16Values)
    refuse(fmt::format("an int16 table of {} entries: ESP-DL needs 65536 / 2^n + 1", points),
           "Export the table with a step that is a power of two");
  return std::countr_zero(static_cast<std::uint64_t>(step));
}

/// The portable kernel rounds half up, also where all else rounds half to even.
Rounding index_rounding(const NodeContext& context) {
  return uses_vector_kernels(context) ? context.target.rounding : Rounding::HalfUp;
}

/// The grid point next to u, an int16 counted from 0. A half goes to the even point by adding half
/// a step less one, and one where the point below is odd.
struct GridIndex {
  int shift;
  std::uint32_t offset, odd_mask;

  GridIndex(int s, Rounding rounding) : shift(s) {
    const std::uint32_t half = (std::uint32_t{1} << shift) >> 1;
    const bool even = rounding == Rounding::HalfEven && half > 0;
    offset = even ? half - 1 : half;
    odd_mask = even ? 1 : 0;
  }
  std::uint32_t operator()(std::uint32_t u) const {
    return (u + offset + ((u >> shift) & odd_mask)) >> shift;
  }
};

std::unique_ptr<Kernel> int16_look_up(const NodeContext& context, const espdl::Constant& table) {
  const GridIndex index(grid_shift(table), index_rounding(context));
  const std::int64_t count = element_count(context.input(0).shape);
  return make_kernel([index, count, values = table.data](const KernelArgs& args) {
    const std::int16_t* points = values.data<std::int16_t>().data();
    const auto* in = args.in<std::int16_t>(0);
    auto* out = args.out<std::int16_t>(0);
    for (std::int64_t i = 0; i < count; ++i)
      out[i] = points[index(static_cast<std::uint32_t>(in[i] + kInt16Origin))];
  });
}

Int8Table int8_entries(const espdl::Constant& constant) {
  const auto values = constant.data.data<std::int8_t>();
  Int8Table table;
  if (values.size() != table.size())
    refuse(fmt::format("an int8 table of {} entries, where ESP-DL reads 256", values.size()),
           "Export the model again");
  std::copy(values.begin(), values.end(), table.begin());
  return table;
}

}  // namespace

bool uses_int8_lut(const NodeContext& context) {
  return element_type(context) == DType::Int8 && !context.node.get_string("lut", "").empty();
}

void look_up(const Int8Table& table, const std::int8_t* in, std::int64_t count, std::int8_t* out) {
  const std::int8_t* origin = table.data() + kInt8TableOrigin;
  for (std::int64_t i = 0; i < count; ++i) out[i] = origin[in[i]];
}

std::unique_ptr<Kernel> look_up_kernel(const Int8Table& table, std::int64_t count) {
  return make_kernel([table, count](const KernelArgs& args) {
    look_up(table, args.in<std::int8_t>(0), count, args.out<std::int8_t>(0));
  });
}

Prepared prepare_table_lookup(const NodeContext& context) {
  const DType dtype = element_type(context);
  if (is_float(dtype))
    refuse(fmt::format("ESP-DL has no float {}", context.node.op),
           "Quantize the node to 8 or 16 bits");
  const TensorDesc output = output_desc(context, 0, context.input(0).shape, dtype);
  const espdl::Constant& table = table_of(context);
  check_table(context, table, dtype);
  auto kernel = dtype == DType::Int8
                    ? look_up_kernel(int8_entries(table), element_count(output.shape))
                    : int16_look_up(context, table);
  Prepared prepared = prepared_with(context, output.shape, dtype, std::move(kernel));
  if (dtype == DType::Int16 && grid_shift(table) > 0) note_portable_kernel(context, prepared);
  return prepared;
}

Prepared prepare_lut(const NodeContext& context) { return prepare_table_lookup(context); }
Prepared prepare_gelu(const NodeContext& context) { return prepare_table_lookup(context); }

}  // namespace espquant::sim
