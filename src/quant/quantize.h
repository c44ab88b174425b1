#pragma once

#include "calib/calibrate.h"
#include "quant/plan.h"
#include "quant/settings.h"

namespace espquant::quant {

/// Refuses settings that the chip cannot follow, before any work is done: Error(Illegal) with the
/// reason.
void check_settings(const Settings& settings);

/// Turns a float Graph (shapes inferred) into a quantized one: layers scaled where `settings` asks
/// for it, a TensorQuant on every tensor that is an integer on the chip. The float network keeps
/// its function, up to the bias correction. `statistics` was gathered on `graph` with
/// `plan.requests`.
void quantize(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
              const Settings& settings);

}  // namespace espquant::quant
