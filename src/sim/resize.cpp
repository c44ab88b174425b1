#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/lut.h"
#include "sim/operators.h"
#include "sim/program.h"
#include "sim/resize_linear.h"

/// Resize (ESP-DL 3.16) over N,H,W,C or N,W,C, int8. The int16 kernel of the runtime is empty.
namespace espquant::sim {
namespace {

constexpr std::int64_t kVectorChannels = 16;

float float_at(const espdl::Constant& constant, std::size_t i) {
  if (constant.data.dtype() != DType::Float32)
    refuse("Resize's scales are not float32", "Export the model again");
  return constant.data.data<float>()[i];
}

/// Along one axis. Parameters are in ONNX's order N,C,H,W while the tensor is N,H,W,C.
ResizeAxis resize_axis(const NodeContext& context, std::int64_t in, std::size_t parameter) {
  ResizeAxis axis;
  axis.in = in;
  if (has_parameter(context, 3, "")) {
    const auto sizes = integer_parameter(context, 3, "");
    if (!sizes.empty()) {
      if (parameter >= sizes.size()) refuse("Resize with too few sizes", "Export the model again");
      axis.out = sizes[parameter];
      axis.scale = static_cast<float>(axis.out) / static_cast<float>(in);
      return axis;
    }
  }
  const espdl::Constant& scales = context.constant(2);
  if (parameter >= static_cast<std::size_t>(scales.data.size()))
    refuse("Resize with too few scales", "Export the model again");
  axis.scale = float_at(scales, parameter);
  const float extent = static_cast<float>(in) * axis.scale;
  if (!(extent >= 1.0F && extent < 65536.0F))
    refuse(fmt::format("Resize of {} by {}", in, axis.scale), "Check the scales");
  axis.out = static_cast<std::int64_t>(extent);
  return axis;
}

ResizePlan plan_resize(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  require_single_image(context, in, 3, 4);
  ResizePlan plan;
  plan.planar = in.size() == 4;
  plan.channels = in.back();
  if (plan.planar) plan.y = resize_axis(context, in[1], 2);
  plan.x = resize_axis(context, in[in.size() - 2], plan.planar ? 3 : 2);
  for (const ResizeAxis& axis : {plan.y, plan.x})
    if (axis.in < 1 || axis.out < 1 || axis.out > 1 << 16 || !(axis.scale > 0))
      refuse(fmt::format("Resize from {} to {} elements", axis.in, axis.out), "Check its sizes");
  return plan;
}

Shape output_shape(const NodeContext& context, const ResizePlan& plan) {
  Shape shape = context.input(0).shape;
  if (plan.planar) shape[1] = plan.y.out;
  shape[shape.size() - 2] = plan.x.out;
  return shape;
}

/// Always the asymmetric, floor variant of ONNX.
std::vector<std::int64_t> nearest_indices(const ResizeAxis& axis) {
  const float inverse = 1.0F / axis.scale;
  std::vector<std::int64_t> indices;
  for (std::int64_t o = 0; o < axis.out; ++o)
    indices.push_back(std::min(
        static_cast<std::int64_t>(static_cast<std::int32_t>(static_cast<float>(o) * inverse)),
        axis.in - 1));
  return indices;
}

/// What the node's attributes ask for; empty where they are not known.
std::vector<std::int64_t> onnx_nearest_indices(const NodeContext& context, const ResizeAxis& axis) {
  const auto coordinates = context.node.get_string("coordinate_transformation_mode", "half_pixel");
  const auto mode = context.node.get_string("nearest_mode", "round_prefer_floor");
  std::vector<std::int64_t> indices;
  for (std::int64_t o = 0; o < axis.out; ++o) {
    const auto x = static_cast<double>(o), scale = static_cast<double>(axis.scale);
    double at = 0;
    if (coordinates == "asymmetric")
      at = x / scale;
    else if (coordinates == "half_pixel" || coordinates == "pytorch_half_pixel")
      at = (x + 0.5) / scale - 0.5;
    else if (coordinates == "align_corners" && axis.out > 1)
      at = x * static_cast<double>(axis.in - 1) / static_cast<double>(axis.out - 1);
    else
      return {};
    const double index = mode == "floor"                ? std::floor(at)
                         : mode == "ceil"               ? std::ceil(at)
                         : mode == "round_prefer_ceil"  ? std::floor(at + 0.5)
                         : mode == "round_prefer_floor" ? std::ceil(at - 0.5)
                                                        : at;
    indices.push_back(std::clamp<std::int64_t>(static_cast<std::int64_t>(index), 0, axis.in - 1));
  }
  return indices;
}

bool same_as_onnx(const NodeContext& context, const ResizeAxis& axis) {
  const auto wanted = onnx_nearest_indices(context, axis);
  return wanted.empty() || wanted == nearest_indices(axis);
}

std::int8_t rescaled(const NodeContext& context, std::int8_t q, int shift) {
  const Target& target = context.target;
  const int right = std::max(shift, 0), left = std::min(std::max(-shift, 0), 30);
  if (!uses_vector_kernels(context)) {
    // The portable kernel keeps the low 8 bits.
    const float value = static_cast<float>(q) * pow2(left) / pow2(std::min(right, 30));
    return static_cast<std::int8_t>(round_to_int(value, target.rounding));
  }
  const std::int64_t product = q * wrap_bits(std::int64_t{1} << left, 8);
  if (target.family == Family::P4)
    return saturate<std::int8_t>(round_shift(product, right, Rounding::HalfEven));
  return saturate<std::int8_t>(right == 0 ? product : ((product >> ((right - 1) & 31)) + 1) >> 1);
}

Int8Table rescale_table(const NodeContext& context, int shift) {
  Int8Table table;
  for (int q = -kInt8TableOrigin; q < kInt8TableOrigin; ++q)
    table[static_cast<std::size_t>(q + kInt8TableOrigin)] =
        rescaled(context, static_cast<std::int8_t>(q), shift);
  return table;
}

std::unique_ptr<Kernel> nearest_kernel(const NodeContext& context, const ResizePlan& plan,
                                       int shift) {
  return make_kernel([ys = nearest_indices(plan.y), xs = nearest_indices(plan.x),
                      table = rescale_table(context, shift), copies = shift == 0,
                      channels = plan.channels, in_row = plan.x.in * plan.channels,
                      out_row = plan.x.out * plan.channels](const KernelArgs& args) {
    const auto* in = args.in<std::int8_t>(0);
    auto* out = args.out<std::int8_t>(0);
    for (std::size_t y = 0; y < ys.size(); ++y, out += out_row) {
      if (y > 0 && ys[y] == ys[y - 1]) {
        std::memcpy(out, out - out_row, static_cast<std::size_t>(out_row));
        continue;
      }
      const std::int8_t* row = in + ys[y] * in_row;
      std::int8_t* to = out;
      for (std::int64_t x : xs) {
        if (copies)
          std::memcpy(to, row + x * channels, static_cast<std::size_t>(channels));
        else
          look_up(table, row + x * channels, channels, to);
        to += channels;
      }
    }
  });
}

void check_nearest(const NodeContext& context, const ResizePlan& plan, Prepared& prepared) {
  const bool doubles = plan.planar && plan.y.scale == 2.0F && plan.x.scale == 2.0F;
  if (plan.channels < kVectorChannels && !doubles && context.target.family != Family::C) {
    // The kernel jumps over the loads of its first input vector and of the factor.
    if (context.target.family == Family::S3)
      refuse(fmt::format("nearest Resize of {} channels by {} x {}: the S3's kernel reads stale "
                         "registers for fewer than 16 channels (resize-nearest-narrow-channels)",
                         plan.channels, plan.y.scale, plan.x.scale),
             "Scale both axes by 2, use at least 16 channels, or resize linearly");
    add_fault(prepared, "resize-nearest-narrow-channels");
  }
  const int shift = context.declared[0].exponent() - context.input(0).exponent();
  if (shift <= (uses_vector_kernels(context) ? -7 : -1)) add_fault(prepared, "resize-left-shift");
  if (!same_as_onnx(context, plan.x) || (plan.planar && !same_as_onnx(context, plan.y)))
    add_fault(prepared, "resize-ignores-coordinates");
}

Prepared prepare_nearest(const NodeContext& context, const ResizePlan& plan) {
  const int shift = context.declared[0].exponent() - context.input(0).exponent();
  Prepared prepared = prepared_with(context, output_shape(context, plan), DType::Int8,
                                    nearest_kernel(context, plan, shift));
  check_nearest(context, plan, prepared);
  return prepared;
}

Prepared prepare_linear(const NodeContext& context, const ResizePlan& plan) {
  const auto coordinates = context.node.get_string("coordinate_transformation_mode", "half_pixel");
  Prepared prepared =
      prepared_with(context, output_shape(context, plan), DType::Int8,
                    linear_resize_kernel(context, plan, coordinates == "align_corners"));
  if (coordinates != "align_corners" && coordinates != "half_pixel" &&
      coordinates != "pytorch_half_pixel")
    add_fault(prepared, "resize-ignores-coordinates");
  return prepared;
}

/// The int16 kernel writes nothing: a fresh buffer's zeros, unless the scales are all 1.
Prepared prepare_int16(const NodeContext& context, const ResizePlan& plan) {
  const TensorDesc output = output_desc(context, 0, output_shape(context, plan), DType::Int16);
  const bool unscaled = plan.x.scale == 1.0F && plan.y.scale == 1.0F;
  auto kernel = make_kernel([unscaled, from = context.input(0), output,
                             target = &context.target](const KernelArgs& args) {
    if (unscaled)
      assign(from, args.inputs[0], output, args.outputs[0], *target);
    else
      std::memset(args.outputs[0], 0, output.byte_size());
  });
  Prepared prepared = prepared_with(context, output.shape, DType::Int16, std::move(kernel));
  if (!unscaled) add_fault(prepared, "resize-int16-unwritten");
  return prepared;
}

}  // namespace

Prepared prepare_resize(const NodeContext& context) {
  const DType dtype = element_type(context);
  if (is_float(dtype)) refuse("ESP-DL has no float Resize", "Quantize the node to 8 bits");
  const ResizePlan plan = plan_resize(context);
  output_desc(context, 0, output_shape(context, plan), dtype);
  const std::string mode = context.node.get_string("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    refuse(fmt::format("ESP-DL does not resize in mode '{}'", mode), "Use nearest or linear");
  if (dtype == DType::Int16) return prepare_int16(context, plan);
  return mode == "nearest" ? prepare_nearest(context, plan) : prepare_linear(context, plan);
}

}  // namespace espquant::sim
