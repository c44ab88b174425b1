#pragma once

#include "recipe/recipe.h"
#include "schedule/optimize.h"

namespace espquant::strategy {

/// Rearranges what was lowered for a goal, and proves that its integers are the same. Throws as
/// schedule::optimize and schedule::require_same_integers.
void fit_schedule(espdl::Model& model, const Target& target, const cost::LatencyOptions& latency,
                  const schedule::Goal& goal);

/// Throws Error(Usage) for a recipe whose banks name the nodes of the file as it was lowered.
void require_no_banks(const recipe::Recipe& recipe);

}  // namespace espquant::strategy
