#include "survey/operator_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace espquant::survey {
namespace {

std::vector<OperatorGroup> make_groups() {
  using enum Way;
  return {
      {Chip, {"Conv"}, "one or two dimensions; groups that are not depthwise become dense filters"},
      {Chip,
       {"Gemm", "MatMul"},
       "weights constant, of a `MatMul` also one matrix for each entry of a batch; `MatMul` of two "
       "activations, as in attention: up to four dimensions, see "
       "[products](#products-of-activations)"},
      {Chip,
       {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"},
       "no dilation; an average that leaves out padding is followed by a `Mul` with one factor per "
       "position"},
      {Chip,
       {"Add", "Div", "Mod", "Mul", "Pow", "Sub"},
       "broadcast up to four dimensions, of more those whose neighbours can be merged; `Pow` and "
       "`Mod` by one number are tables at 8 bits"},
      {Chip,
       {"Abs",    "Acos",    "Acosh", "Asin",        "Asinh",          "Atan",      "Atanh",
        "Ceil",   "Celu",    "Clip",  "Cos",         "Cosh",           "Elu",       "Erf",
        "Exp",    "Floor",   "Gelu",  "HardSigmoid", "HardSwish",      "LeakyRelu", "Log",
        "Mish",   "Neg",     "PRelu", "Reciprocal",  "Relu",           "Round",     "Selu",
        "Shrink", "Sigmoid", "Sign",  "Sin",         "Sinh",           "Softplus",  "Softsign",
        "Sqrt",   "Swish",   "Tan",   "Tanh",        "ThresholdedRelu"},
       "functions of one element: a table of 256 entries at 8 bits; a ReLU behind `Conv`, `Gemm` "
       "or "
       "a `MatMul` with constant weights costs nothing"},
      {Chip,
       {"LogSoftmax", "Softmax"},
       "the result is float; what follows is quantized again. Scores beyond ±64 go to 16 bits by "
       "themselves, with the layer that makes them; see [masks](#masks)"},
      {Chip,
       {"LayerNormalization", "LpNormalization", "RMSNormalization"},
       "float inside, over the last axes (`LpNormalization`: any axis); gains and biases constant"},
      {Chip, {"GRU", "LSTM"}, "see [recurrent layers](#recurrent-layers)"},
      {Chip,
       {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
        "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"},
       "constant axes"},
      {Chip,
       {"Resize"},
       "nearest on any grid; linear by half pixels and aligned corners, at 16 bits on any grid. "
       "What "
       "ESP-DL has no kernel for (16 bits, other grids) is written as Gather, Mul and Add"},
      {Chip,
       {"Cast", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"},
       "comparisons as outputs of the network, which are bools, or cast to numbers there; inside "
       "it "
       "they become the sign of a difference. Casts between floats are left out"},
      {Chip,
       {"Concat", "DepthToSpace", "Flatten", "Gather", "Identity", "InsertZeros", "Pad", "Reshape",
        "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze"},
       "move data; constant parameters. `Transpose` costs nothing where the next operator can take "
       "the order. An output that `Concat` joins from parts of very different sizes has 16 bits"},

      {Rewritten, {"BatchNormalization"}, "weights beside it; else Mul and Add per channel"},
      {Rewritten, {"ConvTranspose"}, "InsertZeros and Conv"},
      {Rewritten,
       {"GroupNormalization", "InstanceNormalization"},
       "LayerNormalization of a row per group, Mul and Add per channel"},
      {Rewritten,
       {"Max", "Min"},
       "of two activations: Concat and ReduceMax or ReduceMin, which rounds nothing; of different "
       "shapes: a + relu(b - a)"},
      {Rewritten, {"Mean", "Sum"}, "Add over two at a time, Mul"},
      {Rewritten, {"Einsum"}, "Transpose, MatMul or Mul, ReduceSum (no diagonals)"},
      {Rewritten, {"Expand", "Tile"}, "nothing before an operator that broadcasts; else Gather"},
      {Rewritten,
       {"Where"},
       "with a constant condition: Mul with a mask of zeros and ones, Add; by the sign of what it "
       "chooses from: LeakyRelu, PRelu, Relu; by a comparison: Max, Min, or Mul with 0 and 1"},
      {Rewritten, {"And", "Not", "Or", "Xor"}, "with a constant: nothing, or the constant"},
      {Rewritten,
       {"ScatterElements", "ScatterND"},
       "with constant indices: Slice and Concat, or Concat and Gather"},
      {Rewritten, {"GatherElements", "GatherND"}, "with constant indices: Gather"},
      {Rewritten, {"CumSum", "Trilu"}, "MatMul, Mul with a constant triangle of ones"},
      {Rewritten, {"ReverseSequence"}, "with constant lengths: Gather"},
      {Rewritten, {"Upsample"}, "Resize"},
      {Rewritten, {"CastLike", "Dropout"}, "nothing (casts between floats)"},
      {Rewritten,
       {"DequantizeLinear", "QuantizeLinear"},
       "in pairs: nothing; a Relu where the zero point is the lowest integer"},
      {Rewritten,
       {"If", "Loop", "Scan"},
       "whose course is known without data: the nodes that they run"},

      {Before, {"Constant", "ConstantOfShape", "Range", "Shape", "Size"}, ""},

      {None,
       {"ArgMax", "ArgMin", "Hardmax", "TopK"},
       "Put out what it picks from, and find the largest in the application"},
      {None,
       {"NonMaxSuppression"},
       "Put out boxes and scores, and let the application choose among them"},
      {None,
       {"IsInf", "IsNaN"},
       "Nothing on the chip takes its result: put out the numbers and compare them in the "
       "application, or write the choice as arithmetic (Relu, Clip, Max, Min)"},
      {None,
       {"Compress", "NonZero", "Unique"},
       "How much it puts out depends on the data: leave it and what follows to the application"},
      {None, {"OneHot"}, "Give the network the one-hot rows as its input"},
      {None, {"LRN"}, "Train with BatchNormalization in its place"},
      {None, {"MeanVarianceNormalization"}, "Export InstanceNormalization or its parts"},
      {None, {"RNN"}, "Use a GRU, or export the steps as Gemm, Add and Tanh"},
      {None, {"GlobalLpPool", "LpPool"}, "Export it as Pow, AveragePool and Pow"},
      {None, {"MaxUnpool"}, "Use Resize or ConvTranspose to go up"},
      {None,
       {"Col2Im", "DeformConv", "GridSample", "MaxRoiPool", "RoiAlign"},
       "Its positions come from data: end the network in front of it"},
      {None,
       {"BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"},
       "Compute spectra in the application (ESP-DSP has FFTs) and begin the network behind it"},
      {None,
       {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
        "RandomUniformLike"},
       "Export the network for inference, without random numbers, or give them as an input"},
      {None,
       {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"},
       "The network is quantized already: give the float network that it was made from"},
      {None,
       {"BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Det", "EyeLike"},
       "Leave it to the application"},
  };
}

std::string rows_of(Way way) {
  std::string rows;
  for (const OperatorGroup& group : operator_groups()) {
    if (group.way != way) continue;
    std::string names;
    for (const std::string_view op : group.operators)
      names += fmt::format("{}`{}`", names.empty() ? "" : ", ", op);
    rows += fmt::format("| {} | {} |\n", names, group.note);
  }
  return rows;
}

}  // namespace

std::string_view to_string(Way way) {
  switch (way) {
    case Way::Chip:
      return "chip";
    case Way::Rewritten:
      return "rewritten";
    case Way::Before:
      return "before";
    case Way::None:
      return "none";
  }
  return "";
}

std::span<const OperatorGroup> operator_groups() {
  static const std::vector<OperatorGroup> groups = make_groups();
  return groups;
}

const OperatorGroup* group_of(std::string_view op) {
  for (const OperatorGroup& group : operator_groups())
    if (std::find(group.operators.begin(), group.operators.end(), op) != group.operators.end())
      return &group;
  return nullptr;
}

std::string operators_markdown() {
  return fmt::format(
      "## Computed on the chip, in 8 and 16 bits\n\n| operators | what to know |\n|---|---|\n{}\n"
      "## Rewritten\n\n| operators | become |\n|---|---|\n{}\n"
      "## Not there\n\n| operators | what to do |\n|---|---|\n{}",
      rows_of(Way::Chip), rows_of(Way::Rewritten), rows_of(Way::None));
}

}  // namespace espquant::survey
