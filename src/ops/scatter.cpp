#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/indexing.h"
#include "ops/operators.h"

/// ScatterElements, ScatterND: input 0 with some elements replaced by, or combined with, those of
/// input 2.
namespace espquant::ops {
namespace {

enum class Reduction { None, Add, Mul, Max, Min };

Reduction reduction_of(const Node& node) {
  const std::string name = node.attributes.get_string("reduction", "none");
  if (name == "none") return Reduction::None;
  if (name == "add") return Reduction::Add;
  if (name == "mul") return Reduction::Mul;
  if (name == "max") return Reduction::Max;
  if (name == "min") return Reduction::Min;
  malformed(fmt::format("reduction '{}', expected none, add, mul, max or min", name));
}

template <typename T>
T combine(Reduction reduction, T old, T update) {
  switch (reduction) {
    case Reduction::None:
      return update;
    case Reduction::Add:
      return wrapping_add(old, update);
    case Reduction::Mul:
      return wrapping_mul(old, update);
    case Reduction::Max:
      return std::max(old, update);
    case Reduction::Min:
      return std::min(old, update);
  }
  return update;
}

void require_combinable(const InferContext& context) {
  require_indices(context, 1);
  require_same_dtype(context, 0, 2);
  if (reduction_of(context.node) != Reduction::None && context.dtype(0) == DType::Bool)
    unsupported("a scatter that combines booleans", "Use numbers");
}

std::size_t scatter_axis_of(const Node& node, const Shape& data) {
  return static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", 0), static_cast<std::int64_t>(data.size())));
}

void infer_elements(const InferContext& context) {
  require_combinable(context);
  require_elementwise_indices(context.shape(0), context.shape(1),
                              scatter_axis_of(context.node, context.shape(0)));
  require_shape(context, 2, context.shape(1), "the updates");
  infer_map(context);
}

/// Calls f with the element type: raw words when elements only move.
template <typename F>
void visit_combined(Reduction reduction, DType dtype, F&& f) {
  reduction == Reduction::None ? visit_width(dtype, f) : visit_number(dtype, f);
}

void run_elements(const RunContext& context) {
  const Reduction reduction = reduction_of(context.node);
  const Shape& data = context.in(0).shape();
  const std::size_t axis = scatter_axis_of(context.node, data);
  const auto indices = read_indices(context.in(1), data[axis]);
  context.outputs[0] = context.in(0);
  visit_combined(reduction, context.in(0).dtype(), [&]<typename T>(T) {
    const auto updates = raw<T>(context.in(2));
    auto out = mutable_raw<T>(context.outputs[0]);
    for_each_element(context.in(1).shape(), data, axis, indices,
                     [&](std::size_t i, std::size_t offset) {
                       out[offset] = combine(reduction, out[offset], updates[i]);
                     });
  });
}

void infer_nd(const InferContext& context) {
  require_combinable(context);
  const Shape &data = context.shape(0), &indices = context.shape(1);
  const std::size_t depth = index_depth(indices, data.size());
  Shape updates(indices.begin(), indices.end() - 1);
  updates.insert(updates.end(), data.begin() + static_cast<std::ptrdiff_t>(depth), data.end());
  require_shape(context, 2, updates, "the updates");
  infer_map(context);
}

void run_nd(const RunContext& context) {
  const Reduction reduction = reduction_of(context.node);
  const Shape& data = context.in(0).shape();
  const auto depth = static_cast<std::size_t>(context.in(1).shape().back());
  const auto offsets = read_index_tuples(
      context.in(1), {data.begin(), data.begin() + static_cast<std::ptrdiff_t>(depth)});
  const std::size_t block = block_bytes(context.in(0), depth) / size_of(context.in(0).dtype());
  context.outputs[0] = context.in(0);
  visit_combined(reduction, context.in(0).dtype(), [&]<typename T>(T) {
    const auto updates = raw<T>(context.in(2));
    auto out = mutable_raw<T>(context.outputs[0]);
    for (std::size_t t = 0; t < offsets.size(); ++t)
      for (std::size_t i = 0; i < block; ++i) {
        T& element = out[static_cast<std::size_t>(offsets[t]) * block + i];
        element = combine(reduction, element, updates[t * block + i]);
      }
  });
}

}  // namespace

const OpDef kScatterElements{"ScatterElements", QuantRule::Float, infer_elements, run_elements};
const OpDef kScatterND{"ScatterND", QuantRule::AlignInputs, infer_nd, run_nd};

}  // namespace espquant::ops
