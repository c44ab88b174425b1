#include <fmt/format.h>

#include "espdl/filter_layout.h"
#include "sim/mac_engine.h"
#include "sim/operators.h"

/// Conv: 1D on [1][W][C], 2D on [1][H][W][C], dense or depthwise (ESP-DL 3.1 to 3.3).
namespace espquant::sim {
namespace {

/// The images of no chip are larger; keeps all products of extents inside int64.
constexpr std::int64_t kLargestExtent = std::int64_t{1} << 24;

class ConvKernel final : public Kernel {
 public:
  ConvKernel(MacEngine engine, MacEngine::Filter filter)
      : engine_(std::move(engine)), filter_(std::move(filter)) {}

  void run(const KernelArgs& args) const override {
    engine_.run(args.inputs[0], filter_, args.outputs[0], args.workspace);
  }

 private:
  MacEngine engine_;
  MacEngine::Filter filter_;
};

Error malformed(std::string message) { return Error(ErrorCode::Malformed, std::move(message)); }

/// An attribute with one positive entry per spatial dimension; absent: all 1.
std::vector<std::int64_t> positive_ints(const espdl::Node& node, std::string_view name,
                                        std::size_t count) {
  std::vector<std::int64_t> values = node.get_ints(name, std::vector<std::int64_t>(count, 1));
  if (values.size() != count)
    throw malformed(fmt::format("{} entries in {}, expected {}", values.size(), name, count));
  for (std::int64_t v : values)
    if (v < 1 || v > kLargestExtent) throw malformed(fmt::format("{} {} is out of range", name, v));
  return values;
}

/// Extent of the output along one axis; also checks what ESP-DL's loops take for granted.
std::int64_t output_extent(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                           std::int64_t dilation, std::int64_t head, std::int64_t tail) {
  if (head < 0 || tail < 0 || head > kLargestExtent || tail > kLargestExtent)
    throw malformed(fmt::format("pads {} and {} are out of range", head, tail));
  const std::int64_t window = dilation * (kernel - 1) + 1;
  if (head >= window || tail >= window)
    throw Error(
        ErrorCode::Illegal,
        fmt::format("padding {} or {} leaves windows of {} without any input", head, tail, window))
        .remedy(
            "ESP-DL's kernels need pads smaller than the dilated kernel; use a Pad node for more");
  const std::int64_t span = in + head + tail - window;
  if (span < 0)
    throw malformed(fmt::format("a window of {} does not fit an input of {}", window, in));
  return span / stride + 1;
}

struct Window {
  std::vector<std::int64_t> strides, dilations, pads;
};

Window read_window(const espdl::Node& node, std::size_t spatial) {
  Window window{positive_ints(node, "strides", spatial), positive_ints(node, "dilations", spatial),
                node.get_ints("pads", std::vector<std::int64_t>(2 * spatial, 0))};
  if (window.pads.empty()) window.pads.assign(2 * spatial, 0);
  if (window.pads.size() != 2 * spatial)
    throw malformed(
        fmt::format("{} entries in pads, expected {}", window.pads.size(), 2 * spatial));
  return window;
}

ConvGeometry read_geometry(const NodeContext& context) {
  const Shape& x = context.input(0).shape;
  const Shape& filter = context.input(1).shape;
  if ((x.size() != 3 && x.size() != 4) || filter.size() != x.size())
    throw malformed(fmt::format("input {} and filter {} are neither a 1D nor a 2D convolution",
                                to_string(x), to_string(filter)));
  const std::size_t spatial = x.size() - 2;
  if (x[0] != 1)
    throw Error(ErrorCode::Illegal,
                fmt::format("a batch of {}: ESP-DL computes one image only", x[0]))
        .remedy("Export the model with batch 1");
  for (const Shape* shape : {&x, &filter})
    for (std::int64_t extent : *shape)
      if (extent < 1 || extent > kLargestExtent)
        throw malformed(fmt::format("extent {} is out of range", extent));

  const std::int64_t group = context.node.get_int("group", 1);
  ConvGeometry g;
  g.depthwise = group > 1;
  g.in_c = x.back();
  g.out_c = g.depthwise ? filter[spatial] : filter[spatial + 1];
  const std::int64_t filter_c = g.depthwise ? filter[spatial + 1] : filter[spatial];
  if (g.depthwise && (group != g.in_c || g.out_c != g.in_c))
    throw Error(ErrorCode::Illegal,
                fmt::format("group {} with {} input and {} output channels: ESP-DL knows group 1 "
                            "and depthwise (group = inputs = outputs) only",
                            group, g.in_c, g.out_c))
        .remedy("Split the convolution into one per group, joined by Concat");
  if (filter_c != g.filter_c())
    throw malformed(
        fmt::format("filter {} does not fit {} input channels", to_string(filter), g.in_c));

  const Window window = read_window(context.node, spatial);
  const auto extent = [&](std::size_t axis, std::int64_t in, std::int64_t kernel) {
    return output_extent(in, kernel, window.strides[axis], window.dilations[axis],
                         window.pads[axis], window.pads[axis + spatial]);
  };
  if (spatial == 2) {
    g.in_h = x[1];
    g.kernel_h = filter[0];
    g.stride_h = window.strides[0];
    g.dilation_h = window.dilations[0];
    g.pad_top = window.pads[0];
    g.out_h = extent(0, g.in_h, g.kernel_h);
  }
  g.in_w = x[spatial];
  g.kernel_w = filter[spatial - 1];
  g.stride_w = window.strides[spatial - 1];
  g.dilation_w = window.dilations[spatial - 1];
  g.pad_left = window.pads[spatial - 1];
  g.out_w = extent(spatial - 1, g.in_w, g.kernel_w);
  return g;
}

}  // namespace

Prepared prepare_conv(const NodeContext& context) {
  const ConvGeometry geometry = read_geometry(context);
  Shape shape = {1, geometry.out_w, geometry.out_c};
  if (context.input(0).shape.size() == 4) shape.insert(shape.begin() + 1, geometry.out_h);

  Prepared prepared;
  prepared.outputs.push_back(mac_output(context, std::move(shape)));
  const espdl::Constant& filter = context.constant(1);
  const espdl::Constant* bias = context.has_input(2) ? &context.constant(2) : nullptr;
  MacEngine engine(geometry,
                   make_arithmetic(context, geometry, context.input(1), bias, prepared.faults),
                   context.options);
  const int lanes = context.target.lanes(context.input(0).dtype == DType::Int8 ? 8 : 16);
  MacEngine::Filter loaded =
      engine.load(espdl::unpack_filter(filter.data, geometry.depthwise, lanes));
  prepared.kernel = std::make_unique<ConvKernel>(std::move(engine), std::move(loaded));
  return prepared;
}

}  // namespace espquant::sim
