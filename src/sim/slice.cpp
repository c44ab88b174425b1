#include <fmt/format.h>

#include <algorithm>

#include "base/strided_copy.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// Slice (ESP-DL 3.14). For a negative step the runtime mirrors start and end, slices forwards from
/// there and reverses the result: that is ONNX's slice only where the range lies symmetrically.
namespace espquant::sim {
namespace {

struct AxisRange {
  std::int64_t start, count, step;
  bool reversed = false;
};

/// Parameters are 32-bit integers on the chip, and saturate.
std::int64_t to_int32(std::int64_t v) { return saturate<std::int32_t>(v); }

std::int64_t count_of(std::int64_t start, std::int64_t end, std::int64_t step) {
  return end > start ? (end - start - 1) / step + 1 : 0;
}

AxisRange runtime_range(std::int64_t start, std::int64_t end, std::int64_t step,
                        std::int64_t extent) {
  if (step == 0) refuse("Slice with a step of 0", "Export the model again");
  const bool reversed = step < 0;
  if (reversed) {
    start = -start - 1;
    end = -end - 1;
    step = -step;
  }
  end = std::min(end, extent);
  start = std::min(start, extent);
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  if (start < 0 || start >= end)
    refuse(fmt::format("Slice of an axis of {} elements comes out as {} to {}: ESP-DL asserts that "
                       "something is left",
                       extent, start, end),
           "Export the model again with indices inside the axis");
  return {start, count_of(start, end, step), step, reversed};
}

/// The first element that ONNX takes on an axis, and how many.
AxisRange onnx_range(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent) {
  const bool reversed = step < 0;
  const std::int64_t low = reversed ? -1 : 0, high = reversed ? extent - 1 : extent;
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  start = std::clamp<std::int64_t>(start, 0, high);
  end = std::clamp(end, low, high);
  const std::int64_t count = reversed ? count_of(end, start, -step) : count_of(start, end, step);
  return {start, count, step, reversed};
}

bool same_elements(const AxisRange& chip, const AxisRange& onnx) {
  const std::int64_t first = chip.reversed ? chip.start + (chip.count - 1) * chip.step : chip.start;
  return chip.count == onnx.count && first == onnx.start;
}

struct SliceParameters {
  std::vector<std::int64_t> starts, ends, axes, steps;
};

SliceParameters read_parameters(const NodeContext& context, std::size_t rank) {
  SliceParameters p{integer_parameter(context, 1, "starts"), integer_parameter(context, 2, "ends"),
                    integer_parameter(context, 3, "axes"), integer_parameter(context, 4, "steps")};
  const std::size_t count = p.starts.size();
  if (p.axes.empty())
    for (std::size_t i = 0; i < count; ++i) p.axes.push_back(static_cast<std::int64_t>(i));
  if (p.steps.empty()) p.steps.assign(count, 1);
  if (p.ends.size() != count || p.axes.size() != count || p.steps.size() != count || count > rank)
    refuse("Slice's starts, ends, axes and steps differ in number", "Export the model again");
  std::vector<bool> named(rank, false);
  for (const std::int64_t axis : p.axes) {
    const std::size_t checked = checked_axis(axis, rank);
    if (named[checked])
      refuse(fmt::format("Slice names axis {} twice", axis), "Slice the axis in two nodes");
    named[checked] = true;
  }
  return p;
}

}  // namespace

Prepared prepare_slice(const NodeContext& context) {
  const TensorDesc& input = context.input(0);
  const SliceParameters p = read_parameters(context, input.shape.size());
  StridedView view{input.shape, strides_of(input.shape), 0};
  bool as_onnx = true;
  for (std::size_t i = 0; i < p.starts.size(); ++i) {
    const std::size_t axis = checked_axis(p.axes[i], input.shape.size());
    const std::int64_t extent = input.shape[axis];
    const std::int64_t start = to_int32(p.starts[i]), end = to_int32(p.ends[i]),
                       step = to_int32(p.steps[i]);
    const AxisRange range = runtime_range(start, end, step, extent);
    as_onnx = as_onnx && same_elements(range, onnx_range(start, end, step, extent));
    const std::int64_t first =
        range.reversed ? range.start + (range.count - 1) * range.step : range.start;
    view.offset += first * view.strides[axis];
    view.extents[axis] = range.count;
    view.strides[axis] *= range.reversed ? -range.step : range.step;
  }
  Shape shape = view.extents;
  auto kernel = make_kernel(
      [view = simplified(std::move(view)), bytes = size_of(input.dtype)](const KernelArgs& args) {
        strided_copy(view, bytes, args.inputs[0], args.outputs[0]);
      });
  Prepared prepared = prepared_with(context, std::move(shape), input.dtype, std::move(kernel));
  check_exponents(context, prepared, {0});
  if (!as_onnx) add_fault(prepared, "slice-negative-step");
  return prepared;
}

}  // namespace espquant::sim
