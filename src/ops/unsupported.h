#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace espquant::ops {

/// Throws Error(Unsupported) that lists every node whose operator is not known.
void refuse_unknown(const Graph& graph);

/// QuantizeLinear, QLinearConv, ...: arithmetic of networks that were quantized before.
bool is_quantized_arithmetic(std::string_view op);

/// Error(Unsupported) that lists nodes, at least one, by operator, after `because`; for a network
/// that was quantized before, what to give in its place.
Error unsupported_nodes(const Graph& graph, const std::vector<NodeId>& nodes,
                        std::string_view because);

}  // namespace espquant::ops
