#include <fmt/format.h>

#include <numeric>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Slice; starts, ends and axes are attributes before opset 10, inputs since.
namespace espquant::ops {
namespace {

/// What one axis contributes: start, start+step, ... `count` times.
struct Progression {
  std::int64_t start = 0, step = 1, count = 0;
};

struct SliceArguments {
  std::vector<std::int64_t> starts, ends;
  std::optional<std::vector<std::int64_t>> axes, steps;
};

Progression progression(std::int64_t start, std::int64_t end, std::int64_t step,
                        std::int64_t extent) {
  if (step == 0) malformed("a step of zero");
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  if (step > 0) {
    start = std::clamp<std::int64_t>(start, 0, extent);
    end = std::clamp<std::int64_t>(end, 0, extent);
    return {start, step, end > start ? (end - start - 1) / step + 1 : 0};
  }
  start = std::clamp<std::int64_t>(start, -1, extent - 1);
  end = std::clamp<std::int64_t>(end, -1, extent - 1);
  return {start, step, start > end ? (step < -extent ? 1 : (start - end - 1) / -step + 1) : 0};
}

std::vector<Progression> progressions(const SliceArguments& arguments, const Shape& in) {
  const std::size_t count = arguments.starts.size();
  std::vector<std::int64_t> axes(count);
  std::iota(axes.begin(), axes.end(), 0);
  if (arguments.axes) axes = *arguments.axes;
  const std::vector<std::int64_t> steps =
      arguments.steps.value_or(std::vector<std::int64_t>(count, 1));
  if (arguments.ends.size() != count || axes.size() != count || steps.size() != count)
    malformed(fmt::format("{} starts, {} ends, {} axes, {} steps: the numbers must agree", count,
                          arguments.ends.size(), axes.size(), steps.size()));
  const auto rank = static_cast<std::int64_t>(in.size());
  normalize_axes(axes, rank);
  std::vector<Progression> result(in.size());
  for (std::size_t d = 0; d < in.size(); ++d) result[d].count = in[d];
  for (std::size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<std::size_t>(normalize_axis(axes[i], rank));
    result[axis] = progression(arguments.starts[i], arguments.ends[i], steps[i], in[axis]);
  }
  return result;
}

/// `has(i)` and `ints(i)` stand for the node's inputs.
template <typename Has, typename Ints>
SliceArguments slice_arguments_of(const Node& node, std::int64_t opset, Has&& has, Ints&& ints) {
  SliceArguments a;
  if (opset < 10) {
    a.starts = node.attributes.get_ints("starts");
    a.ends = node.attributes.get_ints("ends");
    if (node.attributes.has("axes")) a.axes = node.attributes.get_ints("axes");
    return a;
  }
  a.starts = ints(1);
  a.ends = ints(2);
  if (has(3)) a.axes = ints(3);
  if (has(4)) a.steps = ints(4);
  return a;
}

void infer_slice(const InferContext& context) {
  const SliceArguments arguments = slice_arguments_of(
      context.node, context.opset, [&](std::size_t i) { return context.has(i); },
      [&](std::size_t i) { return context.constant_ints(i); });
  Shape out;
  for (const Progression& p : progressions(arguments, context.shape(0))) out.push_back(p.count);
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_slice(const RunContext& context) {
  const Tensor& in = context.in(0);
  Tensor& out = context.outputs[0];
  const SliceArguments arguments = slice_arguments_of(
      context.node, context.opset, [&](std::size_t i) { return context.has(i); },
      [&](std::size_t i) { return to_ints(context.in(i)); });
  const auto axes = progressions(arguments, in.shape());
  const Shape strides = strides_of(in.shape());
  if (out.size() == 0) return;
  visit_width(in.dtype(), [&]<typename T>(T) {
    const auto from = raw<T>(in);
    auto to = mutable_raw<T>(out);
    Shape at(axes.size(), 0);
    for (T& element : to) {
      std::int64_t offset = 0;
      for (std::size_t d = 0; d < at.size(); ++d)
        offset += (axes[d].start + (at[d] == 0 ? 0 : at[d] * axes[d].step)) * strides[d];
      element = from[static_cast<std::size_t>(offset)];
      for (std::size_t d = at.size(); d-- > 0;) {
        if (++at[d] < out.shape()[d]) break;
        at[d] = 0;
      }
    }
  });
}

}  // namespace

const OpDef kSlice{"Slice", QuantRule::PassThrough, infer_slice, run_slice, gradient_of_movement};

}  // namespace espquant::ops
