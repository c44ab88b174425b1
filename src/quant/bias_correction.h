#pragma once

#include <map>

#include "quant/plan.h"
#include "quant/weights.h"

namespace espquant::quant {

/// A Conv or Gemm without bias, or with one element for each output channel.
bool has_correctable_bias(const Graph& graph, const Node& n);

/// Mean output of each output channel of weighted layers, before their activation.
using MeanOutputs = std::map<NodeId, std::vector<double>>;

/// Of the float network: what bias correction aims at. `factors` scales the means, which were
/// gathered before scaling; weights and biases are scaled and not yet rounded. Layers that `inputs`
/// does not know are left out.
MeanOutputs mean_outputs(const Graph& graph, const Plan& plan, const LayerInputs& inputs,
                         const std::vector<float>& factors);

/// Sets the bias so that the layer's mean output over `mean_input` (of the quantized network, or of
/// the float one where only the weights' error is to be taken out) is `wanted` (Nagel et al. 2019,
/// section 4.2). `mean_input` is what mean_under_weights gives. Weights are rounded already. A
/// layer without a bias is given one where that is worth it.
void correct_bias(Graph& graph, NodeId layer, std::span<const double> wanted,
                  std::span<const double> mean_input);

}  // namespace espquant::quant
