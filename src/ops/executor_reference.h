#pragma once

#include "ops/executor_plan.h"

namespace espquant::ops::exec {

/// Adds the node by its operator's reference kernel on plain tensors. Throws Error(Unsupported)
/// when the operator is unknown.
void lower_reference(PlanBuilder& plan, NodeId n);

}  // namespace espquant::ops::exec
