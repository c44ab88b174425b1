#pragma once

#include "cost/internal_ram.h"
#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "deploy/project.h"

namespace espquant::deploy {

/// What a model costs the way a project stores and loads it.
struct ModelCost {
  cost::MemoryPlan plan;
  /// The plan's, and the file's where that is read into RAM.
  std::size_t ram_bytes = 0;
  cost::LatencyEstimate latency;
};

/// Of the chip's own RAM for activations: no more than half of what an application finds there.
std::optional<cost::InternalRam> recommended_internal_ram(const espdl::Model& model,
                                                          const Target& target,
                                                          const cost::PlannerOptions& planner = {},
                                                          const cost::LatencyOptions& latency = {});

bool has_psram(const ProjectRequest& request);

/// Parameters are copied to RAM where there is PSRAM for them, and are there anyway where the file
/// is read from a card or decrypted (ESP-DL 1.3).
bool copies_parameters(const ProjectRequest& request);

ModelCost cost_of(const ProjectRequest& request, const ProjectModel& model);

/// Whether the models fit into the board's RAM: all of them where a camera shows frames to each,
/// else the largest, since others are loaded one at a time.
struct RamVerdict {
  bool fits = true;
  std::string text;
};
RamVerdict ram_verdict(const ProjectRequest& request);

}  // namespace espquant::deploy
