#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

namespace espquant::ops {
namespace {

void infer_concat(const InferContext& context) {
  Shape out = context.shape(0);
  if (out.empty()) malformed("Concat of scalars");
  if (!context.node.attributes.has("axis")) malformed("attribute 'axis' is missing");
  const auto axis = static_cast<std::size_t>(normalize_axis(
      context.node.attributes.get_int("axis", 0), static_cast<std::int64_t>(out.size())));
  for (std::size_t i = 1; i < context.inputs.size(); ++i) {
    require_same_dtype(context, 0, i);
    Shape expected = context.shape(i);
    if (expected.size() == out.size()) expected[axis] = out[axis];
    if (expected != out)
      bad_data(fmt::format("input {} of shape {} does not continue {} along axis {}", i,
                           to_string(context.shape(i)), to_string(out), axis));
    out[axis] += context.shape(i)[axis];
  }
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_concat(const RunContext& context) {
  Tensor& out = context.outputs[0];
  const auto axis = static_cast<std::size_t>(
      normalize_axis(context.node.attributes.get_int("axis", 0), out.rank()));
  const std::size_t width = size_of(out.dtype());
  const auto block = [&](const Tensor& t) {
    return static_cast<std::size_t>(element_count(
               {t.shape().begin() + static_cast<std::ptrdiff_t>(axis), t.shape().end()})) *
           width;
  };
  const std::size_t out_block = block(out);
  if (out_block == 0) return;
  const std::size_t blocks = out.byte_size() / out_block;
  std::byte* to = out.mutable_bytes().data();
  for (std::size_t i = 0; i < context.inputs.size(); ++i) {
    const std::size_t in_block = block(context.in(i));
    const std::byte* from = context.in(i).bytes().data();
    for (std::size_t b = 0; b < blocks; ++b)
      std::memcpy(to + b * out_block, from + b * in_block, in_block);
    to += in_block;
  }
}

}  // namespace

const OpDef kConcat{"Concat", QuantRule::AlignInputs, infer_concat, run_concat,
                    gradient_of_movement};

}  // namespace espquant::ops
