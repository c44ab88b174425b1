#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

struct RefineResult {
  quant::Settings settings;
  /// Exponents that were in doubt, and those that were moved.
  int doubtful = 0, moved = 0;
};

/// Those that a recipe wants to be compared with its own: none where somebody chose that.
std::vector<quant::Method> methods_to_compare(const recipe::Recipe& recipe);

/// Settles what calibration cannot: of the settings' method and the `others`, the one with the
/// least noise at the output stays; then, of activations' exponents: where the error one step
/// up or down is of the same order, the network is simulated with it, and the exponent at which the
/// noise at the output is least stays. Layer after layer, on the samples of bench.run().
RefineResult refine_exponents(Workbench& bench, const quant::Settings& settings,
                              std::span<const quant::Method> others, Means means,
                              const StageProgress& progress = {});

}  // namespace espquant::strategy
