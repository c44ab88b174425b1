#pragma once

#include <cstddef>
#include <optional>

#include "cost/latency.h"
#include "cost/memory_plan.h"

namespace espquant::cost {

/// What a model takes when dl::Model may use so much of the chip's own RAM for activations.
struct InternalRam {
  /// For dl::Model's `max_internal_size`.
  std::size_t bytes = 0;
  std::size_t internal_bytes = 0, psram_bytes = 0;
  double milliseconds = 0;
};

/// The least `max_internal_size` up to `most`, in steps of 8 KiB, with which one run is about as
/// fast as with any other: the runtime's planner decides which tensors lie there, first come, first
/// served, and the latency model what waiting for the others takes. Nothing where that gains less
/// than an estimate can tell, or where there is no PSRAM to begin with.
std::optional<InternalRam> recommend_internal_ram(const espdl::Model& model, const Target& target,
                                                  const PlannerOptions& planner,
                                                  const LatencyOptions& latency, std::size_t most);

}  // namespace espquant::cost
