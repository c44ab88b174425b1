#include <optional>

#include "ops/dnnl_primitives.h"
#include "ops/executor_elementwise.h"
#include "ops/executor_lowering.h"
#include "ops/window.h"

namespace espquant::ops::exec {
namespace {

using dnnl::memory;
constexpr auto kConvolutionFloat = memory::data_type::f32;

/// A Conv or ConvTranspose in oneDNN's words. Logical weights are (groups,) outputs, inputs, kernel
/// of one group.
struct Problem {
  bool transposed = false;
  memory::desc input, weights_given, weights_any, bias, output;
  memory::dims strides, dilations, begin, end;
  dnnl::primitive_attr attributes;
};

/// As an image of one row where there is one spatial axis: oneDNN's depthwise kernels know images
/// only (1-D ones run 10 to 40 times slower).
memory::dims as_image(Shape dims) {
  if (dims.size() == 3) dims.insert(dims.begin() + 2, 1);
  return dims;
}

memory::desc channels_last(const Shape& shape) {
  return {as_image(shape), kConvolutionFloat, memory::format_tag::nhwc};
}

/// ONNX stores (O, I/group, k...) for Conv and (I, O/group, k...) for ConvTranspose.
void describe_weights(const Shape& given, std::int64_t groups, Problem& problem) {
  const Shape shape = as_image(given);
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
  problem.weights_given = {dims, kConvolutionFloat, steps};
  problem.weights_any = {dims, kConvolutionFloat, memory::format_tag::any};
}

/// False where a padding is negative, which oneDNN does not take.
bool set_window(const Node& node, const Shape& input, const Shape& weights, Problem& p) {
  const Window window = p.transposed ? make_transposed_window(node, input, weights)
                                     : make_window(node.attributes, input,
                                                   {weights.begin() + 2, weights.end()}, false);
  for (const WindowAxis& axis : {window[1], window[2]}) {
    // Without output_padding, which is a matter of the output's extent.
    const std::int64_t covered = (axis.out - 1) * axis.stride + axis.reach() - axis.in;
    const std::int64_t end = p.transposed ? covered - axis.pad_begin : axis.pad_end;
    if (axis.pad_begin < 0 || end < 0) return false;
    p.strides.push_back(axis.stride);
    p.dilations.push_back(axis.dilation - 1);
    p.begin.push_back(axis.pad_begin);
    p.end.push_back(end);
  }
  return true;
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
  if (!set_window(node, plan.shape(x), weights->shape(), problem)) return false;
  problem.input = channels_last(plan.shape(x));
  problem.output = channels_last(plan.shape(y));
  describe_weights(weights->shape(), node.attributes.get_int("group", 1), problem);
  if (bias != nullptr) problem.bias = {{bias->size()}, kConvolutionFloat, memory::format_tag::a};
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
