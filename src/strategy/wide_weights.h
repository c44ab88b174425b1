#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

struct WideWeights {
  quant::Settings settings;
  /// In the order chosen.
  std::vector<std::string> layers;
};

/// Among layers of int8 weights and int16 activations (W8A16) those whose weights get 16 bits after
/// all: the ones that make most noise at the network's output for their bytes, simulated with each
/// in turn as the only one of int8 weights, as long as the filters grow by no more than `share`. On
/// chips with one exponent per layer a small first layer of uneven channels can make most of the
/// noise, and saves nothing. What `settings` give weights by name stays.
WideWeights choose_wide_weights(Workbench& bench, double share, const quant::Settings& settings,
                                Means means, const StageProgress& progress = {});

}  // namespace espquant::strategy
