#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "measure/layer_noise.h"

namespace espquant::strategy {

/// Outputs of which the chip's integers leave about nothing, by what a noise report shows.
struct LostOutputs {
  /// A sentence each: the output, its noise, the layer that makes it, what to do.
  std::vector<std::string> warnings;
  /// The first output that is the same for all samples on the chip, though the float network's
  /// varies as much as it is large.
  std::optional<Error> constant;
};

/// What is to be said of the noise on test samples, if it is that large.
std::optional<std::string> warning_of(double noise_on_test_samples);

/// `network` is the float network of the report.
LostOutputs find_lost_outputs(const Graph& network, const measure::NoiseReport& report);

}  // namespace espquant::strategy
