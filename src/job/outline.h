#pragma once

#include "espdl/model.h"
#include "graph/graph.h"

namespace espquant::job {

/// The network as far as an .espdl tells it: inputs and outputs, in the network's layout where the
/// metadata state it, else as they are stored.
Graph outline(const espdl::Model& model);

}  // namespace espquant::job
