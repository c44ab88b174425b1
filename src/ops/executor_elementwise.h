#pragma once

#include <optional>

#include "ops/executor_plan.h"

namespace espquant::ops::exec {

struct Bounds {
  float low, high;
};

/// The bounds of a Clip (also Relu6-like), by attribute (opset 6) or constant input. Nothing for
/// other operators and for bounds computed at run time.
std::optional<Bounds> clip_bounds(const PlanBuilder& plan, const Node& node);

}  // namespace espquant::ops::exec
