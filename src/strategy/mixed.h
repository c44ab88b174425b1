#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

/// A candidate with some layers at 16 bits, and what it costs beside the one without.
struct WideChoice {
  std::string layer;
  /// At the network's output, with this layer and those before it at 16 bits.
  Noise noise;
  /// Growth of the file, in bytes, and of the estimated time of a run.
  std::int64_t bytes = 0;
  double milliseconds = 0;
};

struct MixedResult {
  quant::Settings settings;
  Candidate candidate;
  /// Effect of each layer alone at 16 bits, most useful first.
  std::vector<WideChoice> sensitivities;
  /// The layers that were chosen, in order, each with those before it.
  std::vector<WideChoice> chosen;
  /// Layers of a hand-written list without which the result is not noisier.
  std::vector<std::string> idle;
};

/// Chooses layers for 16 bits. Each layer's effect is measured on the simulated result at the
/// network's output, with everything around it quantized; a layer moves with what shares its
/// exponent, and requantize nodes are in the cost. Greedy: the layer that gains most per cost goes
/// first, and the effect of the next ones is measured again on top of it. The cost is one layer,
/// or bytes or milliseconds where `mixed` sets a budget in those. Without labels in bench.run(),
/// agreement with the float network stands in for accuracy. Throws Error(Usage) where there are no
/// class scores to compare.
MixedResult choose_wide_layers(const Workbench& bench, const Recipe::Mixed& mixed,
                               const quant::Settings& settings, Means means,
                               const lower::Options& options, const StageProgress& progress = {});

}  // namespace espquant::strategy
