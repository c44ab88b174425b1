#pragma once

#include <cstdint>

#include "schedule/fragment.h"

/// The rewrites, one per file. Each keeps every integer of every output, returns how many places it
/// changed, and changes none where the model is not better for it by the conditions given. The
/// order in which they run stands in optimize.cpp.
namespace espquant::schedule {

/// Filters that are larger than the cache and read for every pixel become several.
std::int64_t split_filters(espdl::Model& model, const Conditions& conditions);

/// Channels that do not fill vectors are filled up with zeros.
std::int64_t pad_channels(espdl::Model& model, const Conditions& conditions);

}  // namespace espquant::schedule
