#include "sim/pool_window.h"

#include <fmt/format.h>

#include <algorithm>

namespace espquant::sim {
namespace {

struct AxisWindow {
  std::int64_t in, kernel, stride, pad_head, pad_tail;

  std::int64_t out() const { return (in + pad_head + pad_tail - kernel) / stride + 1; }
};

/// The runtime walks an axis in three parts: windows that begin in the padding, windows inside, and
/// windows that end in the padding. It computes the parts' lengths with truncating divisions and
/// checks nothing.
void check_axis(const AxisWindow& a) {
  if (a.stride < 1 || a.kernel < 1)
    refuse("a pooling window needs a kernel and a stride of at least 1", "Export the model again");
  if (a.pad_head < 0 || a.pad_tail < 0)
    refuse("ESP-DL does not crop before pooling (negative pads)", "Slice the input instead");
  if (a.pad_head >= a.kernel || a.pad_tail >= a.kernel)
    refuse(fmt::format("padding of {} and {} around a kernel of {} leaves windows without elements",
                       a.pad_head, a.pad_tail, a.kernel),
           "Use pads smaller than the kernel");
  if (a.in + a.pad_head + a.pad_tail < a.kernel)
    refuse(fmt::format("a kernel of {} over {} padded elements", a.kernel,
                       a.in + a.pad_head + a.pad_tail),
           "Use a kernel that fits the input");
  const std::int64_t head = (a.pad_head + a.stride - 1) / a.stride;
  const std::int64_t body =
      std::max<std::int64_t>((a.in + a.pad_head - a.kernel) / a.stride + 1 - head, 0);
  const bool body_leaves_input =
      body > 0 && (head + body - 1) * a.stride - a.pad_head + a.kernel > a.in;
  if (head + body > a.out() || body_leaves_input)
    refuse(fmt::format("ESP-DL's pooling loops leave the input with a kernel of {}, stride {} and "
                       "pads {}, {} over {} elements",
                       a.kernel, a.stride, a.pad_head, a.pad_tail, a.in),
           "Pad the input with a Pad node, or use a smaller kernel");
  if ((a.out() - 1) * a.stride >= a.in + a.pad_head)
    refuse("the last pooling window lies wholly in the padding", "Use a smaller tail padding");
}

std::vector<std::int64_t> spatial_attribute(const NodeContext& context, std::string_view name,
                                            std::size_t count) {
  std::vector<std::int64_t> values = context.node.get_ints(name);
  if (values.size() != count)
    refuse(fmt::format("attribute '{}' has {} values, ESP-DL reads {}", name, values.size(), count),
           "Export the model again");
  return values;
}

std::vector<std::string> ignored_attributes(const NodeContext& context, const Shape& shape) {
  std::vector<std::string> faults;
  const espdl::Node& node = context.node;
  const auto dilations = node.get_ints("dilations");
  if (std::any_of(dilations.begin(), dilations.end(), [](std::int64_t d) { return d != 1; }))
    faults.emplace_back("pool-ignores-dilations");
  if (node.get_int("ceil_mode", 0) != 0 && !context.declared.empty() &&
      context.declared[0].shape != shape)
    faults.emplace_back("pool-ignores-ceil-mode");
  return faults;
}

}  // namespace

PoolPlan plan_pool(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  require_single_image(context, in, 3, 4);
  const std::string auto_pad = context.node.get_string("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && !auto_pad.empty())
    refuse(fmt::format("ESP-DL does not compute auto_pad {}", auto_pad),
           "Export the model with explicit pads");

  const std::size_t axes = in.size() - 2;
  const auto kernel = spatial_attribute(context, "kernel_shape", axes);
  const auto strides = spatial_attribute(context, "strides", axes);
  const auto pads = context.node.has("pads") && !context.node.get_ints("pads").empty()
                        ? spatial_attribute(context, "pads", 2 * axes)
                        : std::vector<std::int64_t>(2 * axes, 0);

  PoolPlan plan;
  plan.shape = in;
  std::vector<AxisWindow> windows;
  for (std::size_t i = 0; i < axes; ++i) {
    const AxisWindow window{in[i + 1], kernel[i], strides[i], pads[i], pads[i + axes]};
    check_axis(window);
    plan.shape[i + 1] = window.out();
    windows.push_back(window);
  }
  const AxisWindow row{1, 1, 1, 0, 0};
  const AxisWindow& y = axes == 2 ? windows[0] : row;
  const AxisWindow& x = windows.back();
  plan.geometry = {y.in,     x.in,     in.back(), y.out(),    x.out(),   y.kernel,
                   x.kernel, y.stride, x.stride,  y.pad_head, x.pad_head};
  plan.faults = ignored_attributes(context, plan.shape);
  return plan;
}

PoolPlan plan_global_pool(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  require_single_image(context, in, 3, 4);
  PoolPlan plan;
  plan.shape = Shape(in.size(), 1);
  plan.shape.back() = in.back();
  PoolGeometry& g = plan.geometry;
  g.in_height = g.kernel_height = in.size() == 4 ? in[1] : 1;
  g.in_width = g.kernel_width = in[in.size() - 2];
  g.channels = in.back();
  return plan;
}

}  // namespace espquant::sim
