#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "ops/operators.h"

namespace espquant::ops {

std::span<const OpDef> all_ops() {
  static const OpDef kOps[] = {kAbs,
                               kAdd,
                               kAnd,
                               kArgMax,
                               kArgMin,
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
                               kDepthToSpace,
                               kDequantizeLinear,
                               kDiv,
                               kDropout,
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
                               kSigmoid,
                               kSign,
                               kSin,
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

const OpDef& op_of(const Node& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx" && node.domain != "espdl")
    throw Error(ErrorCode::Unsupported,
                fmt::format("operator '{}' of domain '{}'", node.op, node.domain))
        .node(node.name)
        .remedy("Export the network with ONNX's own operators");
  if (const OpDef* op = find_op(node.op)) return *op;
  std::vector<std::string> names;
  for (const OpDef& op : all_ops()) names.emplace_back(op.type);
  const std::string nearest = nearest_name(node.op, names);
  throw Error(ErrorCode::Unsupported, fmt::format("operator '{}' is not known", node.op))
      .node(node.name)
      .remedy(
          nearest.empty()
              ? "Express it by other operators before exporting"
              : fmt::format(
                    "The nearest one is '{}'; or express it by other operators before exporting",
                    nearest));
}

}  // namespace espquant::ops
