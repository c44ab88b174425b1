#include "strategy/bank_gain.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>

#include "quant/weights.h"

namespace espquant::strategy {
namespace {

bool is_zero(const Tensor& constant) {
  const Tensor values = constant.cast(DType::Float32);
  const auto v = values.data<float>();
  return std::all_of(v.begin(), v.end(), [](float x) { return x == 0; });
}

/// Of all their inputs together, however many.
bool scales_with_inputs(std::string_view op) {
  static const std::set<std::string_view> kOps = {
      "Abs",        "Add",       "AveragePool",  "Concat",    "DepthToSpace",
      "Dropout",    "Expand",    "Flatten",      "Gather",    "GlobalAveragePool",
      "Identity",   "LeakyRelu", "Max",          "MaxPool",   "GlobalMaxPool",
      "Min",        "Neg",       "ReduceL1",     "ReduceL2",  "ReduceMax",
      "ReduceMean", "ReduceMin", "ReduceSum",    "Relu",      "Reshape",
      "Resize",     "Slice",     "SpaceToDepth", "Split",     "Squeeze",
      "Sub",        "Sum",       "Tile",         "Transpose", "Unsqueeze"};
  return kOps.contains(op);
}

/// Of their first input, times parameters.
bool scales_with_first(std::string_view op) {
  return op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "MatMul" || op == "Mul" ||
         op == "PRelu";
}

bool is_homogeneous_node(const Graph& graph, const Node& n) {
  constexpr std::size_t kParameter = 1;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    if (n.inputs[i] == kNone) continue;
    const Value& value = graph.value(n.inputs[i]);
    if (scales_with_first(n.op)) {
      const bool parameter = i == kParameter;
      if (parameter != value.is_constant() && i <= kParameter) return false;
      if (i > kParameter && !(value.is_constant() && is_zero(value.constant))) return false;
      continue;
    }
    // Whole numbers are axes, shapes and places.
    const bool operand = value.is_constant() && is_float(value.constant.dtype());
    if (operand && n.op != "Resize" && !is_zero(value.constant)) return false;
  }
  return scales_with_first(n.op) || scales_with_inputs(n.op) ||
         (n.op == "Pad" && n.attributes.get_string("mode", "constant") != "constant");
}

}  // namespace

bool is_homogeneous(const Graph& network) {
  const auto order = network.topological_order();
  return std::all_of(order.begin(), order.end(),
                     [&](NodeId id) { return is_homogeneous_node(network, network.node(id)); });
}

Graph at_lower_exponents(const Graph& quantized, int octaves) {
  Graph lower = quantized;
  const auto shift = [&](std::optional<TensorQuant>& quant) {
    if (!quant) return;
    for (int& e : quant->exponents) e -= octaves;
  };
  for (std::size_t i = 0; i < lower.value_count(); ++i) {
    Value& value = lower.value(static_cast<ValueId>(i));
    if (value.is_constant()) continue;
    shift(value.quant);
    shift(value.requant);
  }
  // A bias makes up for what rounding does to the means, and that goes with the step.
  for (const NodeId id : lower.topological_order()) {
    constexpr std::size_t kBias = 2;
    const Node& n = lower.node(id);
    if (!quant::is_weighted(lower, n) || n.input(kBias) == kNone) continue;
    Value& bias = lower.value(n.input(kBias));
    shift(bias.quant);
    for (float& b : bias.constant.mutable_data<float>()) b = std::ldexp(b, -octaves);
  }
  return lower;
}

}  // namespace espquant::strategy
