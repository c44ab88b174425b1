#pragma once

#include <string_view>
#include <vector>

#include "graph/graph.h"

/// Nodes that move elements, inserted with their shapes. Each returns `v` itself where it would
/// change nothing.
namespace espquant::passes {

ValueId insert_reshape(Graph& graph, std::string_view base_name, ValueId v, const Shape& shape);
ValueId insert_transpose(Graph& graph, std::string_view base_name, ValueId v,
                         const std::vector<std::int64_t>& perm);
/// The elements at `positions` along an axis; positions count from 0.
ValueId insert_gather(Graph& graph, std::string_view base_name, ValueId v, std::int64_t axis,
                      const std::vector<std::int64_t>& positions);
/// Where each of these positions, all from 0 on, stands in the list.
std::vector<std::int64_t> inverse_positions(const std::vector<std::int64_t>& positions);
ValueId insert_concat(Graph& graph, std::string_view base_name, const std::vector<ValueId>& parts,
                      std::int64_t axis);
/// [begin, end) of every axis.
ValueId insert_slice(Graph& graph, std::string_view base_name, ValueId v, const Shape& begin,
                     const Shape& end);
/// `v` broadcast to `shape`.
ValueId insert_expand(Graph& graph, std::string_view base_name, ValueId v, const Shape& shape);

/// Gives the value that a node puts out to another: the last node of what replaces it produces the
/// node's output under its name. `to` has no reader yet.
void take_over(Graph& graph, NodeId id, ValueId to);

}  // namespace espquant::passes
