#include <fmt/format.h>

#include <algorithm>

#include "base/strided_copy.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// Transpose (ESP-DL 3.14), any number of axes.
namespace espquant::sim {
namespace {

std::vector<std::size_t> permutation(const NodeContext& context, std::size_t rank) {
  const auto perm = context.node.get_ints("perm");
  if (perm.size() != rank)
    refuse(fmt::format("Transpose of {} axes with a permutation of {}", rank, perm.size()),
           "Export the model with an explicit 'perm'");
  std::vector<std::size_t> axes;
  for (std::int64_t p : perm) {
    const std::size_t axis = checked_axis(p, rank);
    if (std::find(axes.begin(), axes.end(), axis) != axes.end())
      refuse("Transpose names an axis twice", "Export the model again");
    axes.push_back(axis);
  }
  return axes;
}

}  // namespace

Prepared prepare_transpose(const NodeContext& context) {
  const TensorDesc& input = context.input(0);
  const Shape strides = strides_of(input.shape);
  Shape shape;
  StridedView view;
  for (std::size_t axis : permutation(context, input.shape.size())) {
    shape.push_back(input.shape[axis]);
    view.strides.push_back(strides[axis]);
  }
  view.extents = shape;
  auto kernel = make_kernel(
      [view = simplified(std::move(view)), bytes = size_of(input.dtype)](const KernelArgs& args) {
        strided_copy(view, bytes, args.inputs[0], args.outputs[0]);
      });
  Prepared prepared = prepared_with(context, std::move(shape), input.dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace espquant::sim
