#pragma once

#include <cstdint>

#include "schedule/fragment.h"

/// The rewrites, one per file. Each keeps every integer of every output, returns how many places it
/// changed, and changes none where the model is not better for it by the conditions given. The
/// order in which they run stands in optimize.cpp.
namespace espquant::schedule {

/// Nodes that only move data go, or become aliases.
std::int64_t merge_moves(espdl::Model& model, const Conditions& conditions);
/// Tables and what could be one become part of a convolution, or of another table.
std::int64_t merge_tables(espdl::Model& model, const Conditions& conditions);
/// Nodes run in the order that needs least memory, where the runtime's plan is smaller for it.
std::int64_t order_nodes(espdl::Model& model, const Conditions& conditions);
/// Filters that are larger than the cache and read for every pixel become several.
std::int64_t split_filters(espdl::Model& model, const Conditions& conditions);

/// A Concat of channels in front of a pool runs behind it.
std::int64_t sink_concats(espdl::Model& model, const Conditions& conditions);

/// Channels that do not fill vectors are filled up with zeros.
std::int64_t pad_channels(espdl::Model& model, const Conditions& conditions);

}  // namespace espquant::schedule
