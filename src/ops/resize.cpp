#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/operators.h"
#include "ops/resample.h"

/// Resize (opset 10: X, scales; 11: X, roi, scales, sizes; 18: axes, antialias) and Upsample
/// (scales an attribute in opset 7, an input in 9).
namespace espquant::ops {
namespace {

constexpr std::string_view kFixSizes =
    "Shapes must be known at conversion time: export with fixed sizes";

/// An optional input as numbers; empty when it is not given or has no elements.
using Floats = std::vector<float>;

Floats to_floats(const Tensor& tensor) {
  if (!is_float(tensor.dtype()))
    malformed(fmt::format("scales of type {}", to_string(tensor.dtype())));
  const Tensor single = tensor.cast(DType::Float32);
  const auto values = single.data<float>();
  return {values.begin(), values.end()};
}

/// The inputs that are not data, known at conversion time.
struct ResizeArguments {
  Floats roi, scales;
  std::vector<std::int64_t> sizes;
};

struct Plan {
  Shape out;
  std::vector<float> scales;
  Floats roi;  ///< starts, then ends, of every axis; empty unless the mode needs it
  Sampling sampling;
};

Sampling legacy_sampling(const Node& node) {
  Sampling s;
  const std::string mode = node.attributes.get_string("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    unsupported(fmt::format("mode '{}'", mode), "Use nearest or linear");
  s.method = mode == "nearest" ? Method::Nearest : Method::Linear;
  s.coordinates = Coordinates::Asymmetric;
  // Resize-10 leaves the rounding open: ONNX Runtime takes the floor when enlarging, the ceiling
  // when reducing.
  s.rounding = node.op == "Upsample" ? NearestRounding::Floor : NearestRounding::FloorOrCeil;
  return s;
}

void refuse_scales(const Floats& scales, std::size_t rank) {
  if (scales.size() != rank) malformed(fmt::format("{} scales for {} axes", scales.size(), rank));
  for (float s : scales)
    if (!(s > 0) || !std::isfinite(s)) malformed(fmt::format("a scale of {}", s));
}

std::int64_t scaled_extent(std::int64_t in, float scale, float crop) {
  const double out = std::floor(static_cast<double>(static_cast<float>(in) * crop * scale));
  if (!(out >= 0 && out <= static_cast<double>(kMaxElements)))
    bad_data(fmt::format("an extent of {} scaled by {}", in, scale));
  return static_cast<std::int64_t>(out);
}

/// Resize-18: one common scale that lets every axis fit into (or cover) `sizes`.
void keep_aspect(bool cover, const Shape& in, const std::vector<std::int64_t>& axes,
                 const std::vector<std::int64_t>& sizes, Plan& plan) {
  float scale = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<std::size_t>(axes[i]);
    const float ratio = static_cast<float>(sizes[i]) / static_cast<float>(in[d]);
    scale = i == 0 ? ratio : cover ? std::max(scale, ratio) : std::min(scale, ratio);
  }
  for (std::int64_t axis : axes) {
    const auto d = static_cast<std::size_t>(axis);
    plan.scales[d] = scale;
    plan.out[d] = scaled_extent(1, std::floor(scale * static_cast<float>(in[d]) + 0.5F), 1.0F);
  }
}

Plan plan_of(const Node& node, std::int64_t opset, const Shape& in,
             const ResizeArguments& arguments) {
  const Attributes& attributes = node.attributes;
  const std::size_t rank = in.size();
  Plan plan{in, std::vector<float>(rank, 1.0F), {}, {}};
  std::vector<std::int64_t> axes(rank);
  for (std::size_t d = 0; d < rank; ++d) axes[d] = static_cast<std::int64_t>(d);
  const bool legacy = node.op == "Upsample" || opset < 11;
  plan.sampling = legacy ? legacy_sampling(node) : sampling_of(attributes);
  if (!legacy && attributes.has("axes")) {
    axes = attributes.get_ints("axes");
    for (std::int64_t& axis : axes) axis = normalize_axis(axis, static_cast<std::int64_t>(rank));
    normalize_axes(axes, static_cast<std::int64_t>(rank));
  }
  if (plan.sampling.coordinates == Coordinates::CropAndResize) {
    if (arguments.roi.size() != 2 * axes.size())
      malformed(fmt::format("roi has {} numbers for {} axes", arguments.roi.size(), axes.size()));
    plan.roi.assign(2 * rank, 0.0F);
    std::fill(plan.roi.begin() + static_cast<std::ptrdiff_t>(rank), plan.roi.end(), 1.0F);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      plan.roi[static_cast<std::size_t>(axes[i])] = arguments.roi[i];
      plan.roi[rank + static_cast<std::size_t>(axes[i])] = arguments.roi[axes.size() + i];
    }
  }
  if (arguments.scales.empty() == arguments.sizes.empty())
    malformed("exactly one of scales and sizes must be given");
  if (!arguments.scales.empty()) {
    refuse_scales(arguments.scales, axes.size());
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto d = static_cast<std::size_t>(axes[i]);
      const float crop = plan.roi.empty() ? 1.0F : plan.roi[rank + d] - plan.roi[d];
      plan.scales[d] = arguments.scales[i];
      plan.out[d] = scaled_extent(in[d], plan.scales[d], crop);
    }
  } else {
    if (arguments.sizes.size() != axes.size())
      malformed(fmt::format("{} sizes for {} axes", arguments.sizes.size(), axes.size()));
    const std::string policy = attributes.get_string("keep_aspect_ratio_policy", "stretch");
    if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
      malformed(fmt::format("keep_aspect_ratio_policy '{}'", policy));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto d = static_cast<std::size_t>(axes[i]);
      if (arguments.sizes[i] < 1 || arguments.sizes[i] > kMaxElements)
        bad_data(fmt::format("a size of {}", arguments.sizes[i]));
      if (in[d] == 0) bad_data("resizing an axis without elements");
      plan.out[d] = arguments.sizes[i];
      plan.scales[d] = static_cast<float>(plan.out[d]) / static_cast<float>(in[d]);
    }
    if (policy != "stretch") keep_aspect(policy == "not_smaller", in, axes, arguments.sizes, plan);
  }
  for (std::size_t d = 0; d < rank; ++d)
    if (in[d] == 0 && plan.out[d] != 0) bad_data("resizing an axis without elements");
  return plan;
}

/// `tensor(i)` is the value of input i, or null when it is not given.
template <typename TensorAt>
ResizeArguments resize_arguments_of(const Node& node, std::int64_t opset, TensorAt&& tensor) {
  ResizeArguments a;
  if (node.op == "Upsample" && node.attributes.has("scales")) {
    a.scales = node.attributes.get_floats("scales");
  } else if (node.op == "Upsample" || opset < 11) {
    if (const Tensor* t = tensor(1)) a.scales = to_floats(*t);
  } else {
    // Other modes ignore the roi, whatever it is.
    if (sampling_of(node.attributes).coordinates == Coordinates::CropAndResize)
      if (const Tensor* t = tensor(1); t != nullptr && t->size() != 0) a.roi = to_floats(*t);
    if (const Tensor* t = tensor(2); t != nullptr && t->size() != 0) a.scales = to_floats(*t);
    if (const Tensor* t = tensor(3); t != nullptr && t->size() != 0) a.sizes = to_ints(*t);
  }
  return a;
}

void infer_resize(const InferContext& context) {
  const auto known = [&](std::size_t i) -> const Tensor* {
    if (!context.has(i)) return nullptr;
    if (context.inputs[i].constant == nullptr)
      unsupported(fmt::format("input {} of {} depends on the network's data", i, context.node.op),
                  kFixSizes);
    return context.inputs[i].constant;
  };
  const ResizeArguments arguments = resize_arguments_of(context.node, context.opset, known);
  const Plan plan = plan_of(context.node, context.opset, context.shape(0), arguments);
  if (plan.sampling.method != Method::Nearest) require_float(context, 0);
  set_output(context, 0, context.dtype(0), plan.out);
}

struct Resampling {
  Sampling sampling;
  std::vector<AxisSampler> axes;
};

/// Of a RunContext or GradientContext.
template <typename Context>
Resampling resampling_of(const Context& context) {
  const ResizeArguments arguments = resize_arguments_of(
      context.node, context.opset,
      [&](std::size_t i) { return context.has(i) ? context.inputs[i] : nullptr; });
  const Shape& in = context.in(0).shape();
  const Plan plan = plan_of(context.node, context.opset, in, arguments);
  const std::size_t rank = in.size();
  Resampling result{plan.sampling, {}};
  for (std::size_t d = 0; d < rank; ++d) {
    AxisGeometry g{in[d], plan.out[d], plan.scales[d], 0.0F, 1.0F};
    if (!plan.roi.empty()) {
      g.roi_start = plan.roi[d];
      g.roi_end = plan.roi[rank + d];
    }
    result.axes.emplace_back(plan.sampling, g);
  }
  return result;
}

void run_resize(const RunContext& context) {
  const Resampling r = resampling_of(context);
  context.outputs[0] = resample(context.in(0), r.axes, r.sampling);
}

/// Each output hands back to every input that it mixes, by the product of the axes' weights.
void gradient_resize(const GradientContext& context) {
  if (!context.wants(0) || context.outputs[0].size() == 0) return;
  const std::vector<AxisSampler> axes = resampling_of(context).axes;
  const Shape strides = strides_of(context.in(0).shape());
  const Shape& shape = context.outputs[0].shape();
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    T* dx = context.input_gradients[0].mutable_data<T>().data();
    Shape at(shape.size(), 0);
    const auto hand_back = [&](auto& self, std::size_t d, std::int64_t offset, T value) -> void {
      if (d == shape.size()) {
        dx[offset] += value;
        return;
      }
      if (axes[d].is_outside(at[d])) return;
      for (std::int64_t tap = 0; tap < axes[d].taps(); ++tap) {
        const float weight = axes[d].weight(at[d], tap);
        if (weight != 0)
          self(self, d + 1, offset + axes[d].index(at[d], tap) * strides[d],
               value * static_cast<T>(weight));
      }
    };
    for (T dy : context.output_gradients[0].data<T>()) {
      hand_back(hand_back, 0, 0, dy);
      for (std::size_t d = shape.size(); d-- > 0;) {
        if (++at[d] < shape[d]) break;
        at[d] = 0;
      }
    }
  });
}

}  // namespace

const OpDef kResize{"Resize", QuantRule::Independent, infer_resize, run_resize, gradient_resize};
const OpDef kUpsample{"Upsample", QuantRule::Independent, infer_resize, run_resize,
                      gradient_resize};

}  // namespace espquant::ops
