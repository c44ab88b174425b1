#pragma once

#include "graph/graph.h"

namespace espquant::strategy {

/// Whether the outputs of a float network scale as its inputs do: no bias that is not 0, and only
/// operators f with f(2^k x) = 2^k f(x).
bool is_homogeneous(const Graph& network);

/// `quantized` with every activation's exponent lower by so many: where the float network is
/// homogeneous, the same integers for inputs that are as many octaves quieter.
Graph at_lower_exponents(const Graph& quantized, int octaves);

}  // namespace espquant::strategy
