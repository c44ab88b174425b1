#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Reshape, Flatten, Squeeze, Unsqueeze and Identity (ESP-DL 3.14): the same elements under another
/// shape. On the chip they share the input's memory; here they copy it.
namespace espquant::sim {
namespace {

Prepared prepare_alias(const NodeContext& context, Shape shape) {
  const TensorDesc& input = context.input(0);
  if (element_count(shape) != element_count(input.shape))
    refuse(fmt::format("{} of shape {} to {} changes the number of elements", context.node.op,
                       to_string(input.shape), to_string(shape)),
           "Export the model again");
  const std::size_t bytes = input.byte_size();
  Prepared prepared = prepared_with(context, std::move(shape), input.dtype,
                                    make_kernel([bytes](const KernelArgs& args) {
                                      if (bytes > 0)
                                        std::memcpy(args.outputs[0], args.inputs[0], bytes);
                                    }));
  if (!is_float(input.dtype) && prepared.outputs[0].exponent() != input.exponent())
    refuse(fmt::format("{} from exponent {} to {}: whether ESP-DL rescales depends on where the "
                       "tensors lie in memory",
                       context.node.op, input.exponent(), prepared.outputs[0].exponent()),
           "Give both tensors the same exponent, or insert a requantize node");
  return prepared;
}

std::int64_t resolved_extent(const Shape& in, std::size_t i, std::int64_t wanted, bool allow_zero) {
  if (wanted != 0) return wanted;
  if (allow_zero) refuse("Reshape to an extent of 0", "Export the model with allowzero 0");
  if (i >= in.size())
    refuse("Reshape takes over an extent that the input does not have", "Export the model again");
  return in[i];
}

Shape reshaped(const NodeContext& context) {
  if (!has_parameter(context, 1, "shape"))
    refuse("Reshape without a shape", "Export it as a constant");
  const Shape& in = context.input(0).shape;
  Shape shape = integer_parameter(context, 1, "shape");
  const bool allow_zero = context.node.get_int("allowzero", 0) != 0;
  std::int64_t known = 1;
  std::size_t open = shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1 && open == shape.size()) {
      open = i;
      continue;
    }
    shape[i] = resolved_extent(in, i, shape[i], allow_zero);
    if (shape[i] < 0 || __builtin_mul_overflow(known, shape[i], &known))
      refuse("Reshape with an extent that is neither positive nor one -1",
             "Export the model again");
  }
  const std::int64_t count = element_count(in);
  if (open == shape.size()) return shape;
  if (known == 0 || count % known != 0)
    refuse(fmt::format("{} elements do not fit the shape wanted by Reshape", count),
           "Export the model again");
  shape[open] = count / known;
  return shape;
}

Shape flattened(const Shape& in, std::int64_t axis) {
  const auto rank = static_cast<std::int64_t>(in.size());
  if (axis < -rank || axis > rank) refuse("Flatten at an axis that is not there", "Check 'axis'");
  const std::int64_t at = axis < 0 ? axis + rank : axis;
  const Shape head(in.begin(), in.begin() + at), tail(in.begin() + at, in.end());
  return {element_count(head), element_count(tail)};
}

/// The runtime keeps an axis that is named but has more than one index.
Shape squeezed(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  const bool all = !has_parameter(context, 1, "axes");
  std::vector<std::size_t> axes;
  for (std::int64_t axis : integer_parameter(context, 1, "axes"))
    axes.push_back(checked_axis(axis, in.size()));
  Shape shape;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const bool named = all || std::find(axes.begin(), axes.end(), i) != axes.end();
    if (in[i] != 1 || !named) shape.push_back(in[i]);
  }
  return shape;
}

Shape unsqueezed(const Shape& in, const std::vector<std::int64_t>& axes) {
  const std::size_t rank = in.size() + axes.size();
  Shape shape;
  std::size_t next = 0;
  for (std::size_t i = 0; i < rank; ++i) {
    const bool inserted =
        std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) != axes.end();
    if (!inserted && next == in.size())
      refuse("Unsqueeze names an axis twice or beyond the result", "Check 'axes'");
    shape.push_back(inserted ? 1 : in[next++]);
  }
  return shape;
}

std::vector<std::int64_t> counted_from(std::vector<std::int64_t> axes, std::size_t rank) {
  for (std::int64_t& axis : axes)
    if (axis < 0) axis += static_cast<std::int64_t>(rank);
  return axes;
}

}  // namespace

Prepared prepare_reshape(const NodeContext& context) {
  return prepare_alias(context, reshaped(context));
}
Prepared prepare_flatten(const NodeContext& context) {
  return prepare_alias(context, flattened(context.input(0).shape, context.node.get_int("axis", 1)));
}
Prepared prepare_squeeze(const NodeContext& context) {
  return prepare_alias(context, squeezed(context));
}
Prepared prepare_identity(const NodeContext& context) {
  return prepare_alias(context, context.input(0).shape);
}

Prepared prepare_unsqueeze(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  if (!has_parameter(context, 1, "axes")) refuse("Unsqueeze without axes", "Export them");
  const auto axes = integer_parameter(context, 1, "axes");
  // The runtime counts negative axes from the input's number of axes plus one, ONNX from the
  // result's.
  const Shape shape = unsqueezed(in, counted_from(axes, in.size() + 1));
  Prepared prepared = prepare_alias(context, shape);
  if (shape != unsqueezed(in, counted_from(axes, in.size() + axes.size())))
    add_fault(prepared, "unsqueeze-negative-axes");
  return prepared;
}

}  // namespace espquant::sim
