#pragma once

#include "graph/graph.h"

namespace espquant::strategy {

/// Whether the outputs of a quantized network scale as its inputs do: no bias that is not 0, and
/// only operators f with f(2^k x) = 2^k f(x).
bool is_homogeneous(const Graph& quantized);

/// `quantized` with every activation's exponent lower by so many: where it is homogeneous, the same
/// integers for inputs that are as many octaves quieter.
Graph at_lower_exponents(const Graph& quantized, int octaves);

}  // namespace espquant::strategy
