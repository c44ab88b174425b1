#include <fmt/format.h>

#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Concat (ESP-DL 3.14): rows are copied; all inputs must have the exponent of the output.
namespace espquant::sim {
namespace {

void check_operand(const NodeContext& context, std::size_t i, std::size_t axis, DType dtype) {
  const TensorDesc &first = context.input(0), &operand = context.input(i);
  require_type(context, i, dtype);
  bool fits = operand.shape.size() == first.shape.size();
  for (std::size_t d = 0; fits && d < first.shape.size(); ++d)
    fits = d == axis || operand.shape[d] == first.shape[d];
  if (!fits)
    refuse(fmt::format("shapes {} and {} do not fit along axis {}", to_string(first.shape),
                       to_string(operand.shape), axis),
           "Export the model again");
}

}  // namespace

Prepared prepare_concat(const NodeContext& context) {
  const std::size_t count = context.inputs.size();
  const TensorDesc& first = context.input(0);
  if (count < 2) refuse("ESP-DL concatenates at least two tensors", "Drop the node");
  if (!context.node.has("axis")) refuse("Concat without an axis", "Export the model again");
  const DType dtype = element_type(context);
  const std::size_t axis = checked_axis(context.node.get_int("axis", 0), first.shape.size());

  Shape shape = first.shape;
  shape[axis] = 0;
  std::vector<std::size_t> row_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    check_operand(context, i, axis, dtype);
    const AxisSplit split = split_at(context.inputs[i].shape, axis);
    row_bytes.push_back(static_cast<std::size_t>(split.length * split.inner) * size_of(dtype));
    shape[axis] += split.length;
  }
  const std::int64_t rows = split_at(shape, axis).outer;
  auto kernel = make_kernel([row_bytes = std::move(row_bytes), rows](const KernelArgs& args) {
    std::byte* to = args.outputs[0];
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::size_t i = 0; i < row_bytes.size(); ++i) {
        const std::size_t bytes = row_bytes[i];
        std::memcpy(to, args.inputs[i] + static_cast<std::size_t>(row) * bytes, bytes);
        to += bytes;
      }
  });
  Prepared prepared = prepared_with(context, std::move(shape), dtype, std::move(kernel));
  for (std::size_t i = 0; i < count; ++i) check_exponents(context, prepared, {i});
  return prepared;
}

}  // namespace espquant::sim
