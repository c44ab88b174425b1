#pragma once

#include <vector>

#include "quant/errors.h"
#include "quant/weights.h"

namespace espquant::quant {

/// Sets the exponent of every activation: per exponent group the one with the least squared error,
/// where operands of Add, Sub and Concat that other nodes read too count for their reader's group
/// as well. Such an operand is moved to its reader's exponent when that costs it little; otherwise
/// the lowering requantizes it. `factors` as from choose_factors.
void assign_activation_exponents(Graph& graph, const Plan& plan, const ActivationErrors& errors,
                                 const Widths& widths, const std::vector<float>& factors,
                                 const Settings& settings);

/// At 16 bits a Clip has its bounds in the steps of what it reads. True where those are coarser
/// than its result's, and might hold no bound: then it reads its input requantized to the result's,
/// which saturates beyond the bounds. Exponents of both are known.
bool clips_in_steps_of_result(const Graph& graph, const Node& n);

/// Sets exponents of weights, biases and other constants so that what the chip cannot do does not
/// arise: shifts are not negative, biases fit their width, accumulators can hold an output. Raises
/// output exponents where nothing else helps. Throws Error(Illegal) with the node's name where that
/// does not help either.
void assign_parameter_exponents(Graph& graph, const Plan& plan, const LayerInputs& inputs,
                                const Widths& widths, const Settings& settings);

}  // namespace espquant::quant
