#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cost/profile.h"
#include "report/cost_table.h"
#include "target/target.h"

namespace espquant::job {

/// As docs/json.md has it; `profile`, what was measured, may be null.
nlohmann::ordered_json latency_json(const std::string& file, const Target& target,
                                    const cost::LatencyEstimate& latency,
                                    const cost::Profile* profile = nullptr);

/// Where each activation lies, and what a model takes of a chip's memory.
nlohmann::ordered_json plan_json(const cost::MemoryPlan& plan);

}  // namespace espquant::job
