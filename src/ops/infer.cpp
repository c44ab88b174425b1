#include "ops/infer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace espquant::ops {

void malformed(std::string message) { throw Error(ErrorCode::Malformed, std::move(message)); }
void bad_data(std::string message) { throw Error(ErrorCode::BadData, std::move(message)); }
void unsupported(std::string message, std::string_view remedy) {
  throw Error(ErrorCode::Unsupported, std::move(message)).remedy(remedy);
}

void check_extents(const Shape& shape) {
  if (shape.size() > kMaxRank)
    bad_data(
        fmt::format("a tensor of {} dimensions; at most {} are handled", shape.size(), kMaxRank));
  std::int64_t bound = 1;
  for (std::int64_t extent : shape) {
    if (extent < 0) bad_data(fmt::format("negative extent in shape {}", to_string(shape)));
    // Empty tensors count as well: strides are products of the other extents.
    if (__builtin_mul_overflow(bound, std::max<std::int64_t>(extent, 1), &bound) ||
        bound > kMaxElements)
      bad_data(
          fmt::format("a tensor of shape {} exceeds {} elements", to_string(shape), kMaxElements));
  }
}

std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    bad_data(fmt::format("an extent of {} x {} does not fit in 64 bits", a, b));
  return product;
}

void set_output(const InferContext& context, std::size_t i, DType dtype, Shape shape) {
  if (i >= context.outputs.size()) return;
  context.outputs[i].dtype = dtype;
  context.outputs[i].shape = std::move(shape);
}

void require_same_dtype(const InferContext& context, std::size_t i, std::size_t j) {
  if (!context.has(i) || !context.has(j) || context.dtype(i) == context.dtype(j)) return;
  malformed(fmt::format("inputs {} and {} are of type {} and {}, which must be equal", i, j,
                        to_string(context.dtype(i)), to_string(context.dtype(j))));
}

void require_float(const InferContext& context, std::size_t i) {
  context.shape(i);
  const DType dtype = context.dtype(i);
  if (dtype == DType::Float32 || dtype == DType::Float64) return;
  unsupported(fmt::format("{} on elements of type {}", context.node.op, to_string(dtype)),
              "Export the network in float32");
}

void require_rank(const InferContext& context, std::size_t i, std::int64_t least,
                  std::int64_t most) {
  const auto rank = static_cast<std::int64_t>(context.shape(i).size());
  if (rank >= least && rank <= most) return;
  malformed(fmt::format(
      "input {} has {} dimensions ({}), expected {}", i, rank, to_string(context.shape(i)),
      least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most)));
}

void require_shape(const InferContext& context, std::size_t i, const Shape& expected,
                   std::string_view what) {
  if (context.shape(i) == expected) return;
  malformed(fmt::format("{} has shape {}, expected {}", what, to_string(context.shape(i)),
                        to_string(expected)));
}

void infer_map(const InferContext& context) {
  set_output(context, 0, context.dtype(0), context.shape(0));
}

void infer_float_map(const InferContext& context) {
  require_float(context, 0);
  infer_map(context);
}

void infer_broadcast(const InferContext& context) {
  Shape shape = context.shape(0);
  for (std::size_t i = 1; i < context.inputs.size(); ++i) {
    require_same_dtype(context, 0, i);
    shape = broadcast(shape, context.shape(i));
  }
  set_output(context, 0, context.dtype(0), std::move(shape));
}

void infer_binary(const InferContext& context) {
  if (context.inputs.size() != 2)
    malformed(fmt::format("{} of {} inputs, expected 2", context.node.op, context.inputs.size()));
  infer_broadcast(context);
}

void infer_comparison(const InferContext& context) {
  infer_binary(context);
  context.outputs[0].dtype = DType::Bool;
}

std::vector<std::int64_t> normalize_axes(std::vector<std::int64_t> axes, std::int64_t rank) {
  for (std::int64_t& axis : axes) axis = normalize_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  if (const auto twice = std::adjacent_find(axes.begin(), axes.end()); twice != axes.end())
    malformed(fmt::format("axis {} is given twice", *twice));
  return axes;
}

std::vector<std::int64_t> to_ints(const Tensor& tensor) {
  if (tensor.dtype() == DType::Int64) {
    const auto values = tensor.data<std::int64_t>();
    return {values.begin(), values.end()};
  }
  if (tensor.dtype() == DType::Int32) {
    const auto values = tensor.data<std::int32_t>();
    return {values.begin(), values.end()};
  }
  malformed(fmt::format("integers expected, found type {}", to_string(tensor.dtype())));
}

std::int64_t saturating_product(std::initializer_list<std::int64_t> factors) {
  std::int64_t product = 1;
  for (std::int64_t factor : factors)
    if (__builtin_mul_overflow(product, factor, &product))
      return std::numeric_limits<std::int64_t>::max();
  return product;
}

}  // namespace espquant::ops
