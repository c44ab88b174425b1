#include <fmt/format.h>

#include <cstring>

#include "ops/gradient.h"
#include "ops/indexing.h"
#include "ops/operators.h"

/// Gather, GatherElements, GatherND.
namespace espquant::ops {
namespace {

std::size_t gather_axis_of(const Node& node, const Shape& data) {
  return static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", 0), static_cast<std::int64_t>(data.size())));
}

void infer_gather(const InferContext& context) {
  const Shape &data = context.shape(0), &indices = context.shape(1);
  require_indices(context, 1);
  const std::size_t axis = gather_axis_of(context.node, data);
  Shape out(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(axis));
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(axis) + 1, data.end());
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_gather(const RunContext& context) {
  const Tensor& data = context.in(0);
  const std::size_t axis = gather_axis_of(context.node, data.shape());
  const std::int64_t extent = data.shape()[axis];
  const auto indices = read_indices(context.in(1), extent);
  const std::size_t block = block_bytes(data, axis + 1);
  const std::size_t slabs = static_cast<std::size_t>(element_count(
      {data.shape().begin(), data.shape().begin() + static_cast<std::ptrdiff_t>(axis)}));
  const std::byte* from = data.bytes().data();
  std::byte* to = context.outputs[0].mutable_bytes().data();
  for (std::size_t s = 0; s < slabs; ++s, from += block * static_cast<std::size_t>(extent))
    for (std::int64_t i : indices) {
      std::memcpy(to, from + static_cast<std::size_t>(i) * block, block);
      to += block;
    }
}

void infer_gather_elements(const InferContext& context) {
  const Shape &data = context.shape(0), &indices = context.shape(1);
  require_indices(context, 1);
  require_elementwise_indices(data, indices, gather_axis_of(context.node, data));
  set_output(context, 0, context.dtype(0), indices);
}

void run_gather_elements(const RunContext& context) {
  const Tensor& data = context.in(0);
  const Shape& shape = context.in(1).shape();
  const std::size_t axis = gather_axis_of(context.node, data.shape());
  const auto indices = read_indices(context.in(1), data.shape()[axis]);
  visit_width(data.dtype(), [&]<typename T>(T) {
    const auto from = raw<T>(data);
    auto to = mutable_raw<T>(context.outputs[0]);
    for_each_element(shape, data.shape(), axis, indices,
                     [&](std::size_t i, std::size_t offset) { to[i] = from[offset]; });
  });
}

std::size_t batch_dims_of(const Node& node, const Shape& data, const Shape& indices) {
  const std::int64_t b = node.attributes.get_int("batch_dims", 0);
  if (b < 0 || b >= static_cast<std::int64_t>(std::min(data.size(), indices.size())))
    malformed(fmt::format("batch_dims={} for data {} and indices {}", b, to_string(data),
                          to_string(indices)));
  return static_cast<std::size_t>(b);
}

void infer_gather_nd(const InferContext& context) {
  const Shape &data = context.shape(0), &indices = context.shape(1);
  require_indices(context, 1);
  const std::size_t b = batch_dims_of(context.node, data, indices);
  const auto batch_end = static_cast<std::ptrdiff_t>(b);
  if (!std::equal(data.begin(), data.begin() + batch_end, indices.begin()))
    bad_data(fmt::format("data {} and indices {} differ in their batch", to_string(data),
                         to_string(indices)));
  const std::size_t depth = index_depth(indices, data.size() - b);
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(b + depth), data.end());
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_gather_nd(const RunContext& context) {
  const Tensor& data = context.in(0);
  const Shape& indices = context.in(1).shape();
  const std::size_t b = batch_dims_of(context.node, data.shape(), indices);
  const std::size_t depth = static_cast<std::size_t>(indices.back());
  const Shape indexed(data.shape().begin() + static_cast<std::ptrdiff_t>(b),
                      data.shape().begin() + static_cast<std::ptrdiff_t>(b + depth));
  const auto offsets = read_index_tuples(context.in(1), indexed);
  const std::size_t block = block_bytes(data, b + depth);
  const std::size_t batches = static_cast<std::size_t>(
      element_count({indices.begin(), indices.begin() + static_cast<std::ptrdiff_t>(b)}));
  if (offsets.empty() || batches == 0) return;
  const std::size_t per_batch = offsets.size() / batches;
  const std::size_t batch_bytes = data.byte_size() / batches;
  std::byte* to = context.outputs[0].mutable_bytes().data();
  for (std::size_t i = 0; i < offsets.size(); ++i, to += block)
    std::memcpy(to,
                data.bytes().data() + i / per_batch * batch_bytes +
                    static_cast<std::size_t>(offsets[i]) * block,
                block);
}

}  // namespace

const OpDef kGather{"Gather", QuantRule::PassThrough, infer_gather, run_gather,
                    gradient_of_movement};
const OpDef kGatherElements{"GatherElements", QuantRule::Float, infer_gather_elements,
                            run_gather_elements, gradient_of_movement};
const OpDef kGatherND{"GatherND", QuantRule::Float, infer_gather_nd, run_gather_nd,
                      gradient_of_movement};

}  // namespace espquant::ops
