#include <array>

#include "sim/operators.h"

namespace espquant::sim {
namespace {

/// In alphabetical order.
constexpr std::array kOperators = {
    Operator{"Conv", prepare_conv},
    Operator{"DequantizeLinear", prepare_dequantize_linear},
    Operator{"Gemm", prepare_gemm},
    Operator{"MatMul", prepare_mat_mul},
    Operator{"QuantizeLinear", prepare_quantize_linear},
    Operator{"RequantizeLinear", prepare_requantize_linear},
};

}  // namespace

std::span<const Operator> all_operators() { return kOperators; }

}  // namespace espquant::sim
