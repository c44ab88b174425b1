#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

struct RefineResult {
  quant::Settings settings;
  /// Exponents that were in doubt, and those that were moved.
  int doubtful = 0, moved = 0;
};

/// Settles what calibration cannot, of activations' exponents: where the error one step
/// up or down is of the same order, the network is simulated with it, and the exponent at which the
/// noise at the output is least stays. Layer after layer, on the samples of bench.run().
RefineResult refine_exponents(Workbench& bench, const quant::Settings& settings, Means means,
                              const StageProgress& progress = {});

}  // namespace espquant::strategy
