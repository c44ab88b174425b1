#pragma once

#include <cstdint>

#include "schedule/fragment.h"

namespace espquant::schedule {

/// Computes runs of nodes in bands of rows, so that large activations never exist whole and the
/// runtime's plan of all activations takes `limit` bytes at most; of the ways to do so, the fastest
/// by estimate. Returns how many runs are in bands now: none where the model fits as it is. Throws
/// Error(Illegal) where no way is found: it says the least that can be had, and which node stands
/// in the way.
std::int64_t compute_in_bands(espdl::Model& model, const Conditions& conditions,
                              std::size_t limit);

}  // namespace espquant::schedule
