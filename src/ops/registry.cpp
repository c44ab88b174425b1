#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ops/most_inputs.h"
#include "ops/operators.h"
#include "ops/unsupported.h"

namespace espquant::ops {
namespace {

/// By how many inputs they have at most, between blanks.
constexpr std::string_view kOneInput =
    " Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Cast Ceil Celu"
    " ConstantOfShape Cos Cosh DepthToSpace Elu Erf Exp Flatten Floor Gelu"
    " GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity InsertZeros LeakyRelu"
    " Log LogSoftmax LpNormalization MaxPool Mish Neg Not Reciprocal Relu Round Selu Shape"
    " Shrink Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign SpaceToDepth Sqrt Swish"
    " Tan Tanh ThresholdedRelu Transpose ";
constexpr std::string_view kTwoInputs =
    " Add And CastLike CumSum Div Equal Expand Gather GatherElements GatherND Greater"
    " GreaterOrEqual Less LessOrEqual MatMul Mod Mul Or PRelu Pow RMSNormalization"
    " ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin"
    " ReduceProd ReduceSum ReduceSumSquare Reshape ReverseSequence Split Squeeze Sub Tile"
    " Trilu Unsqueeze Upsample Xor ";
constexpr std::string_view kThreeInputs =
    " Clip Conv ConvTranspose DequantizeLinear Dropout Gemm GroupNormalization"
    " InstanceNormalization LayerNormalization QuantizeLinear Range ScatterElements"
    " ScatterND Where ";
constexpr std::string_view kFourInputs = " Pad Resize ";
constexpr std::string_view kFiveInputs = " BatchNormalization Slice ";
constexpr std::string_view kAllInputs = " Concat Einsum Max Mean Min Sum ";

}  // namespace

std::span<const OpDef> all_ops() {
  static const OpDef kOps[] = {kAbs,
                               kAcos,
                               kAcosh,
                               kAdd,
                               kAnd,
                               kArgMax,
                               kArgMin,
                               kAsin,
                               kAsinh,
                               kAtan,
                               kAtanh,
                               kAveragePool,
                               kBatchNormalization,
                               kCast,
                               kCastLike,
                               kCeil,
                               kCelu,
                               kClip,
                               kConcat,
                               kConstant,
                               kConstantOfShape,
                               kConv,
                               kConvTranspose,
                               kCos,
                               kCosh,
                               kCumSum,
                               kDepthToSpace,
                               kDequantizeLinear,
                               kDiv,
                               kDropout,
                               kEinsum,
                               kElu,
                               kEqual,
                               kErf,
                               kExp,
                               kExpand,
                               kFlatten,
                               kFloor,
                               kGRU,
                               kGather,
                               kGatherElements,
                               kGatherND,
                               kGelu,
                               kGemm,
                               kGlobalAveragePool,
                               kGlobalMaxPool,
                               kGreater,
                               kGreaterOrEqual,
                               kGroupNormalization,
                               kHardSigmoid,
                               kHardSwish,
                               kIdentity,
                               kInsertZeros,
                               kInstanceNormalization,
                               kLSTM,
                               kLayerNormalization,
                               kLeakyRelu,
                               kLess,
                               kLessOrEqual,
                               kLog,
                               kLogSoftmax,
                               kLpNormalization,
                               kMatMul,
                               kMax,
                               kMaxPool,
                               kMean,
                               kMin,
                               kMish,
                               kMod,
                               kMul,
                               kNeg,
                               kNot,
                               kOr,
                               kPRelu,
                               kPad,
                               kPow,
                               kQuantizeLinear,
                               kRMSNormalization,
                               kRange,
                               kReciprocal,
                               kReduceL1,
                               kReduceL2,
                               kReduceLogSum,
                               kReduceLogSumExp,
                               kReduceMax,
                               kReduceMean,
                               kReduceMin,
                               kReduceProd,
                               kReduceSum,
                               kReduceSumSquare,
                               kRelu,
                               kReshape,
                               kResize,
                               kReverseSequence,
                               kRound,
                               kScatterElements,
                               kScatterND,
                               kSelu,
                               kShape,
                               kShrink,
                               kSigmoid,
                               kSign,
                               kSin,
                               kSinh,
                               kSize,
                               kSlice,
                               kSoftmax,
                               kSoftplus,
                               kSoftsign,
                               kSpaceToDepth,
                               kSplit,
                               kSqrt,
                               kSqueeze,
                               kSub,
                               kSum,
                               kSwish,
                               kTan,
                               kTanh,
                               kThresholdedRelu,
                               kTile,
                               kTranspose,
                               kTrilu,
                               kUnsqueeze,
                               kUpsample,
                               kWhere,
                               kXor};
  return kOps;
}

const OpDef* find_op(std::string_view type) {
  const auto ops = all_ops();
  const auto it = std::lower_bound(ops.begin(), ops.end(), type,
                                   [](const OpDef& op, std::string_view t) { return op.type < t; });
  return it != ops.end() && it->type == type ? &*it : nullptr;
}

bool follows(const Node& node, QuantRule rule) {
  const OpDef* def = find_op(node.op);
  return def != nullptr && def->quant == rule;
}

namespace {

bool is_known(const Node& node) {
  const bool own = node.domain.empty() || node.domain == "ai.onnx" || node.domain == "espdl";
  return own && find_op(node.op) != nullptr;
}

std::string label_of(const Node& node) {
  const bool foreign = !node.domain.empty() && node.domain != "ai.onnx";
  return foreign ? fmt::format("{} of domain '{}'", node.op, node.domain) : node.op;
}

}  // namespace

bool is_quantized_arithmetic(std::string_view op) {
  static const std::set<std::string_view> kOps = {"ConvInteger",
                                                  "DequantizeLinear",
                                                  "DynamicQuantizeLinear",
                                                  "DynamicQuantizeMatMul",
                                                  "MatMulInteger",
                                                  "QAttention",
                                                  "QGemm",
                                                  "QuantizeLinear",
                                                  "MatMulIntegerToFloat"};
  return kOps.contains(op) || op.starts_with("QLinear");
}

Error unsupported_nodes(const Graph& graph, const std::vector<NodeId>& nodes,
                        std::string_view because) {
  constexpr std::size_t kMostNames = 3;
  std::map<std::string, std::vector<std::string>> by_op;
  bool quantized = false;
  for (const NodeId id : nodes) {
    const Node& node = graph.node(id);
    by_op[label_of(node)].push_back(node.name);
    quantized = quantized || is_quantized_arithmetic(node.op);
  }
  std::vector<std::string> parts;
  for (auto& [op, names] : by_op) {
    const std::size_t more = names.size() - std::min(names.size(), kMostNames);
    names.resize(names.size() - more);
    parts.push_back(fmt::format("{} ({}{})", op, fmt::join(names, ", "),
                                more == 0 ? "" : fmt::format(" and {} more", more)));
  }
  Error error(ErrorCode::Unsupported,
              quantized
                  ? fmt::format("the network is quantized already: {}", fmt::join(parts, ", "))
                  : fmt::format("{}: {}", because, fmt::join(parts, ", ")));
  error.node(graph.node(nodes.front()).name);
  error.remedy(quantized
                   ? "Give the float network that it was made from; it is quantized for the chip "
                     "here"
                   : "Express them by other operators before exporting, or leave that part of the "
                     "network to the application: espquant check says more about each, and "
                     "--cut-tail leaves a tail out");
  return error;
}

void refuse_unknown(const Graph& graph) {
  std::vector<NodeId> unknown;
  for (const NodeId id : graph.topological_order())
    if (!is_known(graph.node(id))) unknown.push_back(id);
  if (!unknown.empty()) throw unsupported_nodes(graph, unknown, "operators that are not known");
}

const OpDef& op_of(const Node& node) {
  if (is_known(node)) return *find_op(node.op);
  throw Error(ErrorCode::Unsupported, fmt::format("operator {} is not known", label_of(node)))
      .node(node.name)
      .remedy("Express it by other operators before exporting");
}

std::size_t most_inputs(std::string_view op) {
  struct Group {
    std::string_view operators;
    std::size_t most;
  };
  static constexpr Group kGroups[] = {
      {kOneInput, 1}, {kTwoInputs, 2}, {kThreeInputs, 3}, {kFourInputs, 4},        {kFiveInputs, 5},
      {" GRU ", 6},   {" LSTM ", 8},   {" Constant ", 0}, {kAllInputs, kAnyNumber}};
  const std::string name = fmt::format(" {} ", op);
  for (const Group& group : kGroups)
    if (group.operators.find(name) != std::string_view::npos) return group.most;
  throw Error(ErrorCode::Internal, "how many inputs has" + name + "?");
}

}  // namespace espquant::ops
