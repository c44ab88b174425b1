#pragma once

#include <map>

#include "calib/calibrate.h"
#include "quant/plan.h"

namespace espquant::quant {

/// Mean output of each output channel of weighted layers, before their activation.
using MeanOutputs = std::map<NodeId, std::vector<double>>;

/// Of the float network: what bias correction aims at. `factors` scales the means, which were
/// gathered before scaling; weights and biases are scaled and not yet rounded. Layers whose mean
/// input was not gathered are left out.
MeanOutputs mean_outputs(const Graph& graph, const Plan& plan, const calib::Statistics& statistics,
                         const std::vector<float>& factors);

/// Sets the bias so that the layer's mean output over `mean_input` (of the quantized network, or of
/// the float one where only the weights' error is to be taken out) is `wanted` (Nagel et al. 2019,
/// section 4.2). `mean_input` is what mean_under_weights gives. Weights are rounded already. A
/// layer without a bias is given one where that is worth it.
void correct_bias(Graph& graph, NodeId layer, std::span<const double> wanted,
                  std::span<const double> mean_input);

/// Mean over output positions of the input under each filter tap: [Cin][taps] for a Conv (zero
/// under padding). `mean` is the mean input of `shape` (N,C,H,W or N,C,W), stored channels-last or
/// not.
std::vector<double> tap_means(const Node& conv, std::span<const float> mean, const Shape& shape,
                              const Shape& weight_shape, bool channels_last);

}  // namespace espquant::quant
