#pragma once

#include <set>

#include "survey/survey.h"

namespace espquant::survey {

/// A cut of `graph` (shapes as far as they are known) that leaves `unsupported` and whatever stands
/// before or behind out; see Survey::cut.
Cut find_cut(const Graph& graph, const std::set<NodeId>& unsupported);

}  // namespace espquant::survey
