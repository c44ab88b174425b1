#pragma once

#include <string>
#include <string_view>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::report {

/// The .json beside an .espdl, in ESP-PPQ's structure: `configs` (per node and tensor its width,
/// policy, range and state), `dispatchings` (per node its platform) and `values` (scale per
/// tensor). Ids are hashes of the tensors' names, so they are the same from run to run.
/// `recipe`, a JSON object, is added under that key, so that the result can be repeated.
std::string config_json(const espdl::Model& model, const Target& target,
                        std::string_view recipe = {});

}  // namespace espquant::report
