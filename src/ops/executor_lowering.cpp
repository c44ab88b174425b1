#include "ops/executor_lowering.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace espquant::ops::exec {
namespace {

struct Lowering {
  std::string_view op;
  bool (*lower)(PlanBuilder&, NodeId);
};

constexpr std::array kLowerings{
    Lowering{"Abs", lower_unary},
    Lowering{"Add", lower_binary},
    Lowering{"AveragePool", lower_window_pool},
    Lowering{"BatchNormalization", lower_batch_normalization},
    Lowering{"Clip", lower_unary},
    Lowering{"Concat", lower_move},
    Lowering{"Conv", lower_convolution},
    Lowering{"ConvTranspose", lower_convolution},
    Lowering{"DepthToSpace", lower_move},
    Lowering{"Div", lower_binary},
    Lowering{"Dropout", lower_reshape},
    Lowering{"Elu", lower_unary},
    Lowering{"Expand", lower_move},
    Lowering{"Flatten", lower_reshape},
    Lowering{"Gather", lower_move},
    Lowering{"Gemm", lower_gemm},
    Lowering{"GlobalAveragePool", lower_global_pool},
    Lowering{"GlobalMaxPool", lower_global_pool},
    Lowering{"HardSigmoid", lower_unary},
    Lowering{"HardSwish", lower_unary},
    Lowering{"Identity", lower_reshape},
    Lowering{"LeakyRelu", lower_unary},
    Lowering{"MatMul", lower_matmul},
    Lowering{"Max", lower_binary},
    Lowering{"MaxPool", lower_window_pool},
    Lowering{"Min", lower_binary},
    Lowering{"Mul", lower_binary},
    Lowering{"Neg", lower_unary},
    Lowering{"PRelu", lower_binary},
    Lowering{"Pad", lower_move},
    Lowering{"ReduceMean", lower_global_pool},
    Lowering{"Relu", lower_unary},
    Lowering{"Reshape", lower_reshape},
    Lowering{"Resize", lower_move},
    Lowering{"Sigmoid", lower_unary},
    Lowering{"Slice", lower_move},
    Lowering{"Softmax", lower_softmax},
    Lowering{"SpaceToDepth", lower_move},
    Lowering{"Split", lower_move},
    Lowering{"Sqrt", lower_unary},
    Lowering{"Squeeze", lower_reshape},
    Lowering{"Sub", lower_binary},
    Lowering{"Sum", lower_binary},
    Lowering{"Swish", lower_unary},
    Lowering{"Tanh", lower_unary},
    Lowering{"Tile", lower_move},
    Lowering{"Transpose", lower_move},
    Lowering{"Unsqueeze", lower_reshape},
    Lowering{"Upsample", lower_move},
};

}  // namespace

bool lower_fast(PlanBuilder& plan, NodeId n) {
  const std::string& op = plan.graph().node(n).op;
  const auto* found = std::find_if(kLowerings.begin(), kLowerings.end(),
                                   [&](const Lowering& l) { return l.op == op; });
  return found != kLowerings.end() && found->lower(plan, n);
}

}  // namespace espquant::ops::exec
