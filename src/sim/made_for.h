#pragma once

#include <vector>

#include "espdl/model.h"
#include "target/target.h"

/// Which chips and which releases of ESP-DL can run a file at all.
namespace espquant::sim {

/// What of ESP-DL's newer features the node needs: "W8A16" by its quant_type, "native_kn" by
/// MatMul's input1_layout.
std::vector<Feature> features_of(const espdl::Node& node);

/// Those of all nodes, each once, in the order of Feature.
std::vector<Feature> features_of(const espdl::Model& model);

/// The oldest release that has them all.
const Release& oldest_release_for(const espdl::Model& model);

/// Of the features of `node`, the first that the target's release lacks; null when it has all.
const FeatureFact* missing_feature(const espdl::Node& node, const Target& target);

/// Error(Illegal): that feature is missing, with the first release that has it.
Error lacking(const FeatureFact& fact, const Target& target);

/// Throws Error(Illegal) where filters are packed for vectors of other lengths than the target's,
/// by what their doc strings say, else by the chip that the file names: the chip would read them
/// in another order and compute nonsense. Says for which chip the file was made.
void require_packed_for(const espdl::Model& model, const Target& target);

}  // namespace espquant::sim
