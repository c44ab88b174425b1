#pragma once

#include <vector>

#include "quant/errors.h"
#include "quant/plan.h"

/// Scores: what a Softmax or LogSoftmax reads (ESP-DL 3.13).
namespace espquant::quant {

/// The largest exponent of 8-bit scores: the runtime's table holds exp(2^e * q) of every q from
/// -128 to 127, whose sum must neither overflow float32 nor vanish in it. exp(64) and exp(-64) are
/// far from both; exp(127) is infinite.
inline constexpr int kLargestScoreExponent = -1;

/// By ValueId: true for scores of a larger range than such exponents cover, and for what they are
/// computed from, up to the layer that makes them. At 8 bits such scores would differ from each
/// other by steps of 1 and more: these layers go to 16 bits.
std::vector<bool> scores_beyond_8_bits(const Graph& graph, const Plan& plan,
                                       const calib::Statistics& statistics);

}  // namespace espquant::quant
