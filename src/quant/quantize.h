#pragma once

#include "calib/calibrate.h"
#include "calib/covariance.h"
#include "quant/bias_correction.h"
#include "quant/plan.h"
#include "quant/settings.h"

namespace espquant::quant {

/// Refuses settings that the chip cannot follow, before any work is done: Error(Illegal) with the
/// reason.
void check_settings(const Settings& settings);

/// What calibration found out about a network.
struct Calibration {
  calib::Statistics statistics;
  LayerInputs inputs;
  /// Of weighted layers; empty where weights are rounded to nearest.
  std::map<NodeId, calib::Covariance> covariances;
};

/// What a quantized Graph was made from, for corrections afterwards.
struct Quantized {
  /// By scale-group representative.
  std::vector<float> factors;
  /// The network scaled, in float.
  Graph scaled;
};

/// Puts a TensorQuant on every activation of a float Graph, which is scaled where `settings` asks
/// for it; returns the factors. The first part of quantize(), which may still raise exponents.
std::vector<float> quantize_activations(Graph& graph, const Plan& plan,
                                        const Calibration& calibration, const Settings& settings);

/// Turns a float Graph (shapes inferred) into a quantized one: layers scaled where `settings` asks
/// for it, a TensorQuant on every tensor that is an integer on the chip, weights on the grid of
/// their exponents. The float network keeps its function, up to the rounding of weights and the
/// bias correction. Statistics were gathered on `graph` with `plan.requests`.
Quantized quantize(Graph& graph, const Plan& plan, const Calibration& calibration,
                   const Settings& settings);

}  // namespace espquant::quant
