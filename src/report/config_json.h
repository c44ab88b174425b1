#pragma once

#include <string>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::report {

/// The .json beside an .espdl, in ESP-PPQ's structure: `configs` (per node and tensor its width,
/// policy, range and state), `dispatchings` (per node its platform) and `values` (scale per
/// tensor). Ids are hashes of the tensors' names, so they are the same from run to run.
std::string config_json(const espdl::Model& model, const Target& target);

}  // namespace espquant::report
