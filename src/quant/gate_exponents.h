#pragma once

#include "calib/calibrate.h"
#include "quant/plan.h"
#include "quant/widths.h"

namespace espquant::quant {

/// Sets the attribute "gate_exponent" of every LSTM and GRU, and the exponents of cell states that
/// go into one or come out of it.
///
/// What is added up for a gate has 16 bits of one exponent, and so has the cell (ESP-DL 3.19). Sums
/// wrap, which turns their sign: so the exponent is the finest, from kFinestGateExponent on, at
/// which nothing can wrap. That is known from the weights and the ranges of the inputs, whatever
/// the data; where this is far from what the samples show, a multiple of what they show counts. The
/// exponents of activations must have been set. Throws Error(Illegal), with the layer and the
/// value, where steps would be too coarse.
void assign_gate_exponents(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
                           const Widths& widths);

/// Layers over a few time steps in which steps that are coarse enough for what the samples show
/// would be felt: they are better written as ordinary operators, whose tensors have exponents of
/// their own.
std::vector<std::string> layers_of_coarse_steps(const Graph& graph,
                                                const calib::Statistics& statistics,
                                                const Settings& settings);

/// ESP-PPQ's: the runtime's tables of sigmoid and tanh grow with finer steps. At 16 bits, where
/// states are small, finer ones may be worth their memory.
inline constexpr int kFinestGateExponent = -9, kFinestGateExponent16 = -11;

}  // namespace espquant::quant
