#pragma once

#include <string>

#include "cost/internal_ram.h"
#include "cost/latency.h"
#include "cost/memory_plan.h"

namespace espquant::report {

/// What a model asks of a chip.
struct Cost {
  cost::MemoryPlan memory;
  cost::LatencyEstimate latency;
};

/// With parameters and activations where the planner's options put them, which `latency` need not
/// say. Throws what cost::plan_memory and cost::estimate_latency throw.
Cost cost_of(const espdl::Model& model, const Target& target,
             const cost::PlannerOptions& options = {}, cost::LatencyOptions latency = {});

/// One line: milliseconds, cores, clock, and within which range a measured time is expected.
std::string latency_text(const cost::LatencyEstimate& latency);

/// Three significant digits at most.
std::string milliseconds_text(double milliseconds);

/// A few lines: memory of activations and parameters, milliseconds and how far to trust them, and
/// what the runtime would overwrite.
std::string cost_summary(const Cost& cost);

/// A line: what that much internal RAM gives for a model that takes `without` milliseconds.
std::string internal_ram_text(const cost::InternalRam& internal, double without);

/// One row per node in order of execution: milliseconds, their share of the whole, the part of them
/// spent waiting for memory, and where its output lies. At most 100 columns wide.
std::string cost_table(const espdl::Model& model, const Cost& cost);

}  // namespace espquant::report
