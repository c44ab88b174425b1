#pragma once

#include "graph/graph.h"

namespace espquant::ops {

/// Whether nothing reads `v` but nodes that move data, Concat and Relu, up to the network's outputs.
bool is_only_shown(const Graph& graph, ValueId v);

}  // namespace espquant::ops
