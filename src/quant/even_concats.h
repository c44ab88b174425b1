#pragma once

#include <vector>

#include "calib/calibrate.h"
#include "graph/graph.h"

namespace espquant::quant {

/// Operands of a Concat that are small beside the others while the weights that they meet are
/// large: one exponent for all would round them away. Each is multiplied by a power of two, up to
/// the size of the largest, and the weights of the layers behind are divided by it; the function
/// does not change.
///
/// A factor goes into the weights of the layer that makes the operand, where only what is
/// homogeneous lies between, else a Mul is put in front of the Concat. `statistics` of the graph as
/// it is. Returns the number of operands that were scaled.
std::int64_t even_concats(Graph& graph, const calib::Statistics& statistics);

}  // namespace espquant::quant
