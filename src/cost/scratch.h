#pragma once

#include "cost/memory_plan.h"
#include "espdl/index.h"

namespace espquant::cost {

/// What the runtime's module for `node` takes from the heap beside the plan (ESP-DL 4.3, 5.3).
/// `copied`: parameters are copies in RAM, which a re-packed bias replaces.
NodeScratch scratch_of(const espdl::Node& node, const espdl::ModelIndex& index,
                       const Target& target, bool copied);

}  // namespace espquant::cost
