#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cost/memory_plan.h"
#include "sim/check.h"
#include "sim/program.h"

/// The runtime's memory plan beside what the kernels compute.
namespace espquant::measure {

/// What a program's frames do where the runtime's plan lets nodes write over data that are still
/// needed: compute with what is left, as the chip does (Program::lay_out). Does nothing where no
/// data are lost. Returns the losses, one for each tensor. Throws as cost::plan_memory does.
std::vector<cost::Overwrite> compute_in_planned_memory(sim::Program& program);

/// Whatever the runtime would refuse or compute wrongly: sim::check, and "overwritten" for data
/// that its plan loses (ESP-DL 5.2). `defects` are those of the reader. A model that is too broken
/// to be planned has its own findings.
std::vector<sim::Finding> check_model(const espdl::Model& model, const Target& target,
                                      std::span<const Error> defects = {});

}  // namespace espquant::measure
