#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace espquant::passes {

/// Takes from the outputs those that no input has an influence on, other than by its shape: the
/// chip cannot put out a constant. Expects known shapes. Returns their names; where all are
/// constant, they stay, and none is returned.
std::vector<std::string> drop_constant_outputs(Graph& graph);

}  // namespace espquant::passes
