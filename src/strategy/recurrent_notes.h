#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "measure/layer_noise.h"

namespace espquant::strategy {

/// What a user should know of LSTM and GRU layers: which became ordinary operators, which needed
/// coarser steps inside because of how far they reach, which inputs and outputs of the network have
/// 16 bits because they are cell states of a layer of 8. `imported` as it was read.
std::vector<std::string> recurrent_notes(const Graph& imported, const Graph& quantized);

/// Which of them make a noise by themselves that is felt, why, and what helps.
std::vector<std::string> recurrent_noise_notes(const measure::NoiseReport& noise);

}  // namespace espquant::strategy
