#pragma once

#include "calib/calibrate.h"
#include "quant/plan.h"

namespace espquant::quant {

/// Quantized weights shift the mean of each output channel by (Wq - W) * E[x]; this takes the shift
/// out of the bias (Nagel et al. 2019, section 4.2, with the mean input measured: exact for a
/// linear layer, padding included). A layer without a bias is given one where the shift is worth
/// it. Weights must have their exponents; `factors` scales the means, which were gathered before
/// scaling.
void correct_biases(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
                    const std::vector<float>& factors, const Settings& settings);

/// Mean over output positions of the input under each filter tap: [Cin][taps] for a Conv (zero
/// under padding). `mean` is the mean input of `shape` (N,C,H,W or N,C,W), stored channels-last or
/// not.
std::vector<double> tap_means(const Node& conv, std::span<const float> mean, const Shape& shape,
                              const Shape& weight_shape, bool channels_last);

}  // namespace espquant::quant
