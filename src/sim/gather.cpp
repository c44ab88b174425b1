#include <fmt/format.h>

#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Gather (ESP-DL 3.14): constant indices, none of them negative.
namespace espquant::sim {

Prepared prepare_gather(const NodeContext& context) {
  const TensorDesc& input = context.input(0);
  const std::size_t axis = checked_axis(context.node.get_int("axis", 0), input.shape.size());
  const std::vector<std::int64_t> indices = integer_parameter(context, 1, "");
  const AxisSplit split = split_at(input.shape, axis);
  for (std::int64_t index : indices)
    if (index < 0 || index >= split.length)
      refuse(fmt::format("Gather reads index {} of an axis of {}: ESP-DL does not count from the "
                         "back",
                         index, split.length),
             "Store indices between 0 and the extent of the axis");

  Shape shape(input.shape.begin(), input.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  const Shape& index_shape = context.input(1).shape;
  shape.insert(shape.end(), index_shape.begin(), index_shape.end());
  shape.insert(shape.end(), input.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
               input.shape.end());

  auto kernel = make_kernel([split, indices,
                             bytes = static_cast<std::size_t>(split.inner) *
                                     size_of(input.dtype)](const KernelArgs& args) {
    std::byte* to = args.outputs[0];
    for (std::int64_t o = 0; o < split.outer; ++o)
      for (std::int64_t index : indices) {
        std::memcpy(to, args.inputs[0] + static_cast<std::size_t>(o * split.length + index) * bytes,
                    bytes);
        to += bytes;
      }
  });
  Prepared prepared = prepared_with(context, std::move(shape), input.dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace espquant::sim
