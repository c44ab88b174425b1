#include <algorithm>
#include <optional>

#include "ops/dnnl_primitives.h"
#include "ops/executor_elementwise.h"
#include "ops/executor_lowering.h"
#include "ops/window.h"

namespace espquant::ops::exec {
namespace {

using dnnl::memory;
constexpr auto kFloat = memory::data_type::f32;

/// A Conv or ConvTranspose in oneDNN's words. Logical weights are (groups,) outputs, inputs, kernel
/// of one group.
struct Problem {
  bool transposed = false;
  memory::desc input, weights_given, weights_any, bias, output;
  memory::dims strides, dilations, begin, end;
  dnnl::primitive_attr attributes;
};

memory::desc channels_last(const Shape& shape) {
  return {memory::dims(shape.begin(), shape.end()), kFloat,
          shape.size() == 3 ? memory::format_tag::nwc : memory::format_tag::nhwc};
}

/// ONNX stores (O, I/group, k...) for Conv and (I, O/group, k...) for ConvTranspose.
void describe_weights(const Shape& shape, std::int64_t groups, Problem& problem) {
  const Shape dense = strides_of(shape);
  const std::int64_t per_group = shape[0] / groups;
  memory::dims dims{groups, per_group, shape[1]};
  memory::dims steps{per_group * dense[0], dense[0], dense[1]};
  if (problem.transposed) {
    std::swap(dims[1], dims[2]);
    std::swap(steps[1], steps[2]);
  }
  dims.insert(dims.end(), shape.begin() + 2, shape.end());
  steps.insert(steps.end(), dense.begin() + 2, dense.end());
  if (groups == 1) {
    dims.erase(dims.begin());
    steps.erase(steps.begin());
  }
  problem.weights_given = {dims, kFloat, steps};
  problem.weights_any = {dims, kFloat, memory::format_tag::any};
}

void set_conv_window(const Node& node, const Shape& input, const Shape& weights, Problem& p) {
  const Window window =
      make_window(node.attributes, input, {weights.begin() + 2, weights.end()}, false);
  for (std::size_t i = window.size() - (input.size() - 2); i < window.size(); ++i) {
    p.strides.push_back(window[i].stride);
    p.dilations.push_back(window[i].dilation - 1);
    p.begin.push_back(window[i].pad_begin);
    p.end.push_back(window[i].pad_end);
  }
}

/// The padding at the end follows from the extents. False where one is negative, which oneDNN does
/// not take.
bool set_transposed_window(const Node& node, const Shape& input, const Shape& weights,
                           const Shape& output, Problem& p) {
  const std::size_t axes = input.size() - 2;
  const Attributes& a = node.attributes;
  p.strides = spatial_attribute(a, "strides", axes, 1, 1);
  const auto dilations = spatial_attribute(a, "dilations", axes, 1, 1);
  const auto extra = spatial_attribute(a, "output_padding", axes, 0, 0);
  const auto pads = spatial_attribute(a, "pads", 2 * axes, 0, 0);
  const AutoPad mode = auto_pad_of(a);
  const bool from_output =
      mode == AutoPad::SameUpper || mode == AutoPad::SameLower || a.has("output_shape");
  for (std::size_t i = 0; i < axes; ++i) {
    const std::int64_t reach = (weights[2 + i] - 1) * dilations[i] + 1;
    const std::int64_t full = p.strides[i] * (input[2 + i] - 1) + reach;
    // ONNX ConvTranspose: SAME_UPPER puts the odd row at the end, every other mode at the
    // beginning.
    const std::int64_t total = full + extra[i] - output[2 + i];
    const std::int64_t begin = !from_output                 ? pads[i]
                               : mode == AutoPad::SameUpper ? total / 2
                                                            : total - total / 2;
    p.dilations.push_back(dilations[i] - 1);
    p.begin.push_back(begin);
    p.end.push_back(full - output[2 + i] - begin);
  }
  const auto negative = [](std::int64_t v) { return v < 0; };
  return std::none_of(p.begin.begin(), p.begin.end(), negative) &&
         std::none_of(p.end.begin(), p.end.end(), negative);
}

struct Made {
  dnnl::primitive primitive;
  std::string implementation;
  memory::desc weights, scratchpad;
};

template <typename Operation>
Made make(const Problem& p, dnnl::algorithm algorithm) {
  using dnnl::prop_kind;
  const auto describe = [&] {
    if (p.bias.get_size() == 0)
      return
          typename Operation::desc(prop_kind::forward_inference, algorithm, p.input, p.weights_any,
                                   p.output, p.strides, p.dilations, p.begin, p.end);
    return typename Operation::desc(prop_kind::forward_inference, algorithm, p.input, p.weights_any,
                                    p.bias, p.output, p.strides, p.dilations, p.begin, p.end);
  };
  const typename Operation::primitive_desc found(describe(), p.attributes, cpu_engine());
  return {Operation(found), found.impl_info_str(), found.weights_desc(), found.scratchpad_desc()};
}

/// The Relu or Clip that alone reads the convolution's result, when the result itself need not be
/// kept.
NodeId fusable_reader(const PlanBuilder& plan, ValueId result) {
  const Graph& graph = plan.graph();
  const Value& value = graph.value(result);
  if (plan.observe_all() || value.consumers.size() != 1 || graph.is_output(result)) return kNone;
  const Node& reader = graph.node(value.consumers.front());
  const bool clamps = reader.op == "Relu" || clip_bounds(plan, reader).has_value();
  return clamps && reader.input(0) == result ? value.consumers.front() : kNone;
}

void append_clamp(const PlanBuilder& plan, const Node& reader, Problem& problem) {
  dnnl::post_ops steps;
  if (const auto bounds = clip_bounds(plan, reader))
    steps.append_eltwise(1.0F, dnnl::algorithm::eltwise_clip, bounds->low, bounds->high);
  else
    steps.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
  problem.attributes.set_post_ops(steps);
}

}  // namespace

bool lower_convolution(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0), w = node.input(1), b = node.input(2), y = node.outputs[0];
  const Tensor* weights = plan.constant(w);
  const Tensor* bias = plan.constant(b);
  if (!plan.is_float(x) || !plan.is_float(y) || !plan.is_float(w) || weights == nullptr ||
      (b != kNone && bias == nullptr) || !has_channels(plan.shape(x)))
    return false;
  Problem problem;
  problem.transposed = node.op == "ConvTranspose";
  if (!problem.transposed)
    set_conv_window(node, plan.shape(x), weights->shape(), problem);
  else if (!set_transposed_window(node, plan.shape(x), weights->shape(), plan.shape(y), problem))
    return false;
  problem.input = channels_last(plan.shape(x));
  problem.output = channels_last(plan.shape(y));
  describe_weights(weights->shape(), node.attributes.get_int("group", 1), problem);
  if (bias != nullptr) problem.bias = {{bias->size()}, kFloat, memory::format_tag::a};
  problem.attributes = user_scratchpad();
  const NodeId clamp = fusable_reader(plan, y);
  if (clamp != kNone) append_clamp(plan, plan.graph().node(clamp), problem);

  Made made;
  try {
    made = problem.transposed
               ? make<dnnl::deconvolution_forward>(problem, dnnl::algorithm::deconvolution_direct)
               : make<dnnl::convolution_forward>(problem, dnnl::algorithm::convolution_direct);
  } catch (const dnnl::error&) {
    return false;  // a shape that oneDNN declines, such as padding wider than the kernel
  }
  std::vector<DnnlKernel::Constant> constants;
  constants.push_back({DNNL_ARG_WEIGHTS, reordered(weights->data<float>().data(),
                                                   problem.weights_given, made.weights)});
  if (bias != nullptr)
    constants.push_back(
        {DNNL_ARG_BIAS, reordered(bias->data<float>().data(), problem.bias, problem.bias)});
  Step step;
  step.node = n;
  step.inputs = {plan.require(x, Form::ChannelsLast)};
  step.outputs = {
      plan.define(clamp == kNone ? y : plan.graph().node(clamp).outputs[0], Form::ChannelsLast)};
  step.kernel = std::make_shared<DnnlKernel>(
      made.primitive, made.implementation, made.scratchpad,
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_SRC, problem.input}},
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_DST, problem.output}}, std::move(constants));
  plan.add_step(std::move(step));
  if (clamp != kNone) plan.skip(clamp);
  return true;
}

}  // namespace espquant::ops::exec
