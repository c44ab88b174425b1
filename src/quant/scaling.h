#pragma once

#include <vector>

#include "quant/errors.h"
#include "quant/weights.h"

namespace espquant::quant {

/// A factor per scale-group representative. A group with a cap takes the one that puts the cap on
/// the largest integer, so that saturation does the work of the Clip; the others the one of
/// kFactorsPerOctave at which the relative errors of their activations and of the weights around
/// are least in sum (coordinate descent, a few sweeps).
std::vector<float> choose_factors(const Graph& graph, const Plan& plan,
                                  const ActivationErrors& errors, const LayerInputs& inputs,
                                  const Widths& widths, const Settings& settings);

/// Multiplies every value of a scale group by its factor: weights and biases before, weights after,
/// bounds of Clips between. The network's function does not change.
void apply_factors(Graph& graph, const ValueSets& groups, const std::vector<float>& factors);

/// Gives each reader of a shared weight, bias or bound a copy of its own.
void unshare_constants(Graph& graph);

}  // namespace espquant::quant
