#pragma once

#include <map>
#include <vector>

#include "calib/calibrate.h"

namespace espquant::compress {

/// What an error of one at one position of a layer's output channel adds to the noise to signal of
/// the network's outputs, summed over the positions: by layer and channel.
using Sensitivities = std::map<NodeId, std::vector<double>>;

/// Of `layers`, from `samples` samples: the mean square of the gradients of a random sum of the
/// outputs (Hutchinson 1990), of scores around their mean where a Softmax makes probabilities of
/// them. Where the network has an operator without a gradient, each layer counts by its own signal
/// alone.
Sensitivities output_sensitivities(const Graph& graph, std::span<const NodeId> layers,
                                   const calib::SampleSource& source, std::int64_t samples);

}  // namespace espquant::compress
