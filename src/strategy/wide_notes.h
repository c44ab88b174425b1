#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// What has 16 bits in `quantized` by itself, though all layers were asked for 8: scores that reach
/// further, and outputs that join parts of very different sizes. `imported` as it was read.
std::vector<std::string> wide_notes(const Graph& imported, const Workbench& bench,
                                    const Graph& quantized);

}  // namespace espquant::strategy
