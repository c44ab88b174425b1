#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace espquant::passes {

/// A chip runs one sample at a time. Where the inputs of a network (shapes known) fix a batch of
/// several, along their first axis or, as recurrent layers have it, their second, and each sample
/// goes through the network by itself, the batch becomes 1: in the inputs, in constant targets of
/// Reshape and Expand, in constant states and lengths of LSTM and GRU. That samples do not meet is
/// tried: outputs of the network of one must be those of the batch, sample by sample. Returns the
/// batch that was; 1 where the graph stays as it is.
std::int64_t set_batch_to_one(Graph& graph);

}  // namespace espquant::passes
