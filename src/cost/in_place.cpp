#include "cost/in_place.h"

#include <algorithm>
#include <array>

namespace espquant::cost {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kAliases = {"Flatten"sv, "Identity"sv, "Reshape"sv, "Squeeze"sv,
                                 "Unsqueeze"sv};

constexpr std::array kOverwriting = {
    "Add"sv,
    "Clip"sv,
    "DequantizeLinear"sv,
    "Elu"sv,
    "Equal"sv,
    "Exp"sv,
    "Gelu"sv,
    "Greater"sv,
    "GreaterOrEqual"sv,
    "HardSigmoid"sv,
    "HardSwish"sv,
    "LUT"sv,
    "LayerNormalization"sv,
    "LeakyRelu"sv,
    "Less"sv,
    "LessOrEqual"sv,
    "Log"sv,
    "LpNormalization"sv,
    "Mod"sv,
    "Neg"sv,
    "PRelu"sv,
    "QuantizeLinear"sv,
    "RMSNormalization"sv,
    "ReduceL1"sv,
    "ReduceL2"sv,
    "ReduceLogSum"sv,
    "ReduceLogSumExp"sv,
    "ReduceMax"sv,
    "ReduceMean"sv,
    "ReduceMin"sv,
    "ReduceProd"sv,
    "ReduceSum"sv,
    "ReduceSumSquare"sv,
    "Relu"sv,
    "RequantizeLinear"sv,
    "ReverseSequence"sv,
    "ScatterND"sv,
    "Sigmoid"sv,
    "Sqrt"sv,
    "Swish"sv,
    "Tanh"sv,
};

bool contains(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

InPlace in_place_kind(std::string_view op) {
  if (contains(kAliases, op)) return InPlace::Alias;
  return contains(kOverwriting, op) ? InPlace::Overwrite : InPlace::Never;
}

}  // namespace espquant::cost
