#include <fmt/format.h>

#include <algorithm>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Flatten, Identity, Reshape, Squeeze, Unsqueeze: the same elements under another shape.
namespace espquant::ops {
namespace {

void run_reshape(const RunContext& context) {
  context.outputs[0] = context.in(0).reshaped(context.outputs[0].shape());
}

/// An argument that was an attribute before it became input 1; nothing when neither is there.
std::optional<std::vector<std::int64_t>> input_or_attribute(const InferContext& context,
                                                            std::string_view name) {
  if (context.has(1)) return context.constant_ints(1);
  if (context.node.attributes.has(name)) return context.node.attributes.get_ints(name);
  return std::nullopt;
}

/// Replaces the one -1 in `out` by what the element count demands.
void fill_unknown_extent(const Shape& in, Shape& out) {
  const auto unknown = std::find(out.begin(), out.end(), -1);
  const auto refuse = [&] {
    bad_data(fmt::format("{} cannot be reshaped to {}", to_string(in), to_string(out)));
  };
  if (std::any_of(out.begin(), out.end(), [](std::int64_t e) { return e < -1; }) ||
      std::count(out.begin(), out.end(), -1) > 1)
    refuse();
  const std::int64_t elements = element_count(in);
  if (unknown == out.end()) {
    if (element_count(out) != elements) refuse();
    return;
  }
  Shape known = out;
  known[static_cast<std::size_t>(unknown - out.begin())] = 1;
  const std::int64_t rest = element_count(known);
  if (rest == 0 || elements % rest != 0) refuse();
  *unknown = elements / rest;
}

void infer_reshape(const InferContext& context) {
  const Shape& in = context.shape(0);
  auto out = input_or_attribute(context, "shape");
  if (!out) malformed("Reshape without a target shape");
  if (context.node.attributes.get_int("allowzero", 0) == 0)
    for (std::size_t i = 0; i < out->size(); ++i) {
      if ((*out)[i] != 0) continue;
      if (i >= in.size())
        malformed(fmt::format("extent {} is to be copied from a shape {}", i, to_string(in)));
      (*out)[i] = in[i];
    }
  fill_unknown_extent(in, *out);
  set_output(context, 0, context.dtype(0), std::move(*out));
}

void infer_flatten(const InferContext& context) {
  const Shape& in = context.shape(0);
  const auto rank = static_cast<std::int64_t>(in.size());
  std::int64_t axis = context.node.attributes.get_int("axis", 1);
  if (axis < -rank || axis > rank)
    malformed(fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  if (axis < 0) axis += rank;
  set_output(context, 0, context.dtype(0),
             {element_count({in.begin(), in.begin() + axis}),
              element_count({in.begin() + axis, in.end()})});
}

void infer_squeeze(const InferContext& context) {
  const Shape& in = context.shape(0);
  const auto given = input_or_attribute(context, "axes");
  Shape out;
  if (!given) {
    std::copy_if(in.begin(), in.end(), std::back_inserter(out),
                 [](std::int64_t e) { return e != 1; });
  } else {
    const auto axes = normalize_axes(*given, static_cast<std::int64_t>(in.size()));
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (!std::binary_search(axes.begin(), axes.end(), static_cast<std::int64_t>(i)))
        out.push_back(in[i]);
      else if (in[i] != 1)
        bad_data(fmt::format("axis {} of {} is not 1 and cannot be squeezed", i, to_string(in)));
    }
  }
  set_output(context, 0, context.dtype(0), std::move(out));
}

void infer_unsqueeze(const InferContext& context) {
  const auto given = input_or_attribute(context, "axes");
  if (!given) malformed("Unsqueeze without axes");
  Shape out = context.shape(0);
  if (given->size() + out.size() > kMaxRank)
    bad_data(fmt::format("Unsqueeze to more than {} dimensions", kMaxRank));
  for (std::int64_t axis :
       normalize_axes(*given, static_cast<std::int64_t>(out.size() + given->size())))
    out.insert(out.begin() + axis, 1);
  set_output(context, 0, context.dtype(0), std::move(out));
}

}  // namespace

const OpDef kFlatten{"Flatten", QuantRule::PassThrough, infer_flatten, run_reshape,
                     gradient_of_movement};
const OpDef kIdentity{"Identity", QuantRule::PassThrough, infer_map, run_reshape,
                      gradient_of_movement};
const OpDef kReshape{"Reshape", QuantRule::PassThrough, infer_reshape, run_reshape,
                     gradient_of_movement};
const OpDef kSqueeze{"Squeeze", QuantRule::PassThrough, infer_squeeze, run_reshape,
                     gradient_of_movement};
const OpDef kUnsqueeze{"Unsqueeze", QuantRule::PassThrough, infer_unsqueeze, run_reshape,
                       gradient_of_movement};

}  // namespace espquant::ops
