#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "ops/gradient.h"
#include "ops/indexing.h"
#include "ops/operators.h"

/// Split; the parts are an attribute before opset 13, input 1 since; `num_outputs` since 18.
namespace espquant::ops {
namespace {

std::size_t split_axis_of(const Node& node, const Shape& shape) {
  return static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", 0), static_cast<std::int64_t>(shape.size())));
}

std::vector<std::int64_t> equal_parts(std::int64_t extent, std::size_t count, bool ragged) {
  const auto n = static_cast<std::int64_t>(count);
  if (!ragged && extent % n != 0)
    bad_data(fmt::format("an extent of {} cannot be split into {} equal parts", extent, n));
  const std::int64_t part = (extent + n - 1) / n;
  std::vector<std::int64_t> parts(count, part);
  parts.back() = extent - part * (n - 1);
  if (parts.back() < 0)
    bad_data(fmt::format("an extent of {} is too short for {} parts", extent, n));
  return parts;
}

void infer_split(const InferContext& context) {
  const Shape& in = context.shape(0);
  const std::size_t axis = split_axis_of(context.node, in);
  const Attributes& attributes = context.node.attributes;
  const std::size_t count = context.outputs.size();
  std::vector<std::int64_t> parts;
  if (context.has(1)) {
    parts = context.constant_ints(1);
  } else if (attributes.has("split")) {
    parts = attributes.get_ints("split");
  } else {
    if (attributes.get_int("num_outputs", static_cast<std::int64_t>(count)) !=
        static_cast<std::int64_t>(count))
      malformed(fmt::format("num_outputs differs from the node's {} outputs", count));
    // Split-18: the last part may be shorter.
    parts = equal_parts(in[axis], count, context.opset >= 18);
  }
  if (parts.size() != count) malformed(fmt::format("{} parts for {} outputs", parts.size(), count));
  std::int64_t rest = in[axis];
  for (std::size_t i = 0; i < count; ++i) {
    if (parts[i] < 0 || parts[i] > rest)
      bad_data(fmt::format("parts {} do not add up to the extent {}", to_string(parts), in[axis]));
    rest -= parts[i];
    Shape out = in;
    out[axis] = parts[i];
    set_output(context, i, context.dtype(0), std::move(out));
  }
  if (rest != 0)
    bad_data(fmt::format("parts {} do not add up to the extent {}", to_string(parts), in[axis]));
}

void run_split(const RunContext& context) {
  const Tensor& in = context.in(0);
  const std::size_t axis = split_axis_of(context.node, in.shape());
  const std::size_t in_block = block_bytes(in, axis);
  if (in_block == 0) return;
  const std::size_t blocks = in.byte_size() / in_block;
  const std::byte* from = in.bytes().data();
  for (Tensor& out : context.outputs) {
    const std::size_t out_block = block_bytes(out, axis);
    std::byte* to = out.mutable_bytes().data();
    for (std::size_t b = 0; b < blocks; ++b)
      std::memcpy(to + b * out_block, from + b * in_block, out_block);
    from += out_block;
  }
}

}  // namespace

const OpDef kSplit{"Split", QuantRule::PassThrough, infer_split, run_split, gradient_of_movement};

}  // namespace espquant::ops
