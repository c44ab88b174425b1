#pragma once

#include <span>

#include "cost/memory_plan.h"

namespace espquant::cost {

/// Tensors that are written over while a later node, or the application, still reads them: the
/// runtime's planner looks one link deep, so data seen through a Reshape can be lost (ESP-DL 5.2).
std::vector<Overwrite> find_overwrites(const espdl::Model& model,
                                       std::span<const TensorPlace> places);

}  // namespace espquant::cost
