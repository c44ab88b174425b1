#include "lower/rules.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "quant/groups.h"

namespace espquant::lower {

std::span<const RuleEntry> all_rules() {
  static constexpr std::array kRules = {
      RuleEntry{"Abs", lower_table},
      RuleEntry{"Acos", lower_table},
      RuleEntry{"Acosh", lower_table},
      RuleEntry{"Add", lower_aligned_binary},
      RuleEntry{"Asin", lower_table},
      RuleEntry{"Asinh", lower_table},
      RuleEntry{"Atan", lower_table},
      RuleEntry{"Atanh", lower_table},
      RuleEntry{"AveragePool", lower_average_pool},
      RuleEntry{"Cast", lower_cast},
      RuleEntry{"Ceil", lower_table},
      RuleEntry{"Celu", lower_table},
      RuleEntry{"Clip", lower_table},
      RuleEntry{"Concat", lower_concat},
      RuleEntry{"Conv", lower_conv},
      RuleEntry{"Cos", lower_table},
      RuleEntry{"Cosh", lower_table},
      RuleEntry{"DepthToSpace", lower_depth_space},
      RuleEntry{"Div", lower_binary},
      RuleEntry{"Elu", lower_table},
      RuleEntry{"Equal", lower_comparison},
      RuleEntry{"Erf", lower_table},
      RuleEntry{"Exp", lower_table},
      RuleEntry{"Flatten", lower_reshape},
      RuleEntry{"Floor", lower_table},
      RuleEntry{"GRU", lower_recurrent},
      RuleEntry{"Gather", lower_gather},
      RuleEntry{"Gelu", lower_table},
      RuleEntry{"Gemm", lower_gemm},
      RuleEntry{"GlobalAveragePool", lower_global_average_pool},
      RuleEntry{"GlobalMaxPool", lower_global_max_pool},
      RuleEntry{"Greater", lower_comparison},
      RuleEntry{"GreaterOrEqual", lower_comparison},
      RuleEntry{"HardSigmoid", lower_table},
      RuleEntry{"HardSwish", lower_table},
      RuleEntry{"Identity", lower_identity},
      RuleEntry{"InsertZeros", lower_insert_zeros},
      RuleEntry{"LSTM", lower_recurrent},
      RuleEntry{"LayerNormalization", lower_layer_normalization},
      RuleEntry{"LeakyRelu", lower_table},
      RuleEntry{"Less", lower_comparison},
      RuleEntry{"LessOrEqual", lower_comparison},
      RuleEntry{"Log", lower_table},
      RuleEntry{"LogSoftmax", lower_softmax},
      RuleEntry{"LpNormalization", lower_lp_normalization},
      RuleEntry{"MatMul", lower_matmul},
      RuleEntry{"MaxPool", lower_max_pool},
      RuleEntry{"Mish", lower_table},
      RuleEntry{"Mod", lower_power},
      RuleEntry{"Mul", lower_binary},
      RuleEntry{"Neg", lower_table},
      RuleEntry{"PRelu", lower_prelu},
      RuleEntry{"Pad", lower_pad},
      RuleEntry{"Pow", lower_power},
      RuleEntry{"RMSNormalization", lower_rms_normalization},
      RuleEntry{"Reciprocal", lower_table},
      RuleEntry{"ReduceL1", lower_reduce},
      RuleEntry{"ReduceL2", lower_reduce},
      RuleEntry{"ReduceLogSum", lower_reduce},
      RuleEntry{"ReduceLogSumExp", lower_reduce},
      RuleEntry{"ReduceMax", lower_reduce},
      RuleEntry{"ReduceMean", lower_reduce},
      RuleEntry{"ReduceMin", lower_reduce},
      RuleEntry{"ReduceProd", lower_reduce},
      RuleEntry{"ReduceSum", lower_reduce},
      RuleEntry{"ReduceSumSquare", lower_reduce},
      RuleEntry{"Relu", lower_table},
      RuleEntry{"Reshape", lower_reshape},
      RuleEntry{"Resize", lower_resize},
      RuleEntry{"Round", lower_table},
      RuleEntry{"Selu", lower_table},
      RuleEntry{"Shrink", lower_table},
      RuleEntry{"Sigmoid", lower_table},
      RuleEntry{"Sign", lower_table},
      RuleEntry{"Sin", lower_table},
      RuleEntry{"Sinh", lower_table},
      RuleEntry{"Slice", lower_slice},
      RuleEntry{"Softmax", lower_softmax},
      RuleEntry{"Softplus", lower_table},
      RuleEntry{"Softsign", lower_table},
      RuleEntry{"SpaceToDepth", lower_depth_space},
      RuleEntry{"Split", lower_split},
      RuleEntry{"Sqrt", lower_table},
      RuleEntry{"Squeeze", lower_reshape},
      RuleEntry{"Sub", lower_aligned_binary},
      RuleEntry{"Swish", lower_table},
      RuleEntry{"Tan", lower_table},
      RuleEntry{"Tanh", lower_table},
      RuleEntry{"ThresholdedRelu", lower_table},
      RuleEntry{"Transpose", lower_transpose},
      RuleEntry{"Unsqueeze", lower_reshape},
  };
  return kRules;
}

bool is_saturating_relu(const Graph& graph, const Node& activation, const TensorQuant& quant) {
  if (activation.op == "Relu") return true;
  const auto bounds = quant::clip_bounds(graph, activation);
  return bounds && bounds->min == 0 &&
         std::ldexp(static_cast<double>(bounds->max), -quant.exponent()) >= quant.max_q() - 0.5;
}

Fused fuse_activation(const Builder& b, const Node& n) {
  const Graph& graph = b.graph();
  const NodeId activation = quant::following_activation(graph, graph.value(n.outputs[0]).producer);
  if (activation == kNone) return {n.outputs[0], false};
  const ValueId after = graph.node(activation).outputs[0];
  const auto& before_quant = graph.value(n.outputs[0]).quant;
  const auto& after_quant = graph.value(after).quant;
  if (!after_quant || before_quant != after_quant) return {n.outputs[0], false};
  if (!is_saturating_relu(graph, graph.node(activation), *after_quant))
    return {n.outputs[0], false};
  return {after, true};
}

const TensorQuant& quant_of(const Builder& b, ValueId v) {
  const auto& q = b.graph().value(v).quant;
  ESPQUANT_ASSERT(q.has_value(),
                  "a tensor without exponent reached the lowering: " + b.graph().value(v).name);
  return *q;
}

const TensorQuant& input_quant(const Builder& b, const Node& n, std::size_t index) {
  const Value& input = b.graph().value(n.inputs.at(index));
  const auto& output = b.graph().value(n.outputs.at(0)).quant;
  const auto& q =
      output && input.dtype == DType::Float32 ? input.quant_at(output->bits) : input.quant;
  ESPQUANT_ASSERT(q.has_value(), "a tensor without exponent reached the lowering: " + input.name);
  return *q;
}

void check_shift(const Node& n, int shift) {
  if (shift < 0)
    refuse(n,
           fmt::format(
               "needs a left shift of {} bits behind its accumulator, which the chip does not have",
               -shift),
           "Give its output a coarser exponent, or its weights a finer one");
  if (shift > 31)
    refuse(n,
           fmt::format("needs a right shift of {} bits, more than the 31 of the chip's register",
                       shift),
           "Check whether the layer's weights are all zero");
}

void refuse(const Node& n, std::string_view what, std::string_view remedy) {
  throw Error(ErrorCode::Illegal, std::string(what)).node(n.name).remedy(remedy);
}

}  // namespace espquant::lower
