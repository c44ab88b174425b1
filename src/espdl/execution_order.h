#pragma once

#include "espdl/defects.h"
#include "espdl/model.h"

namespace espquant::espdl {

/// Puts the nodes into an order in which every tensor is there before it is read, keeping the given
/// order where it serves. Reports Error(Malformed) for each tensor that is produced twice or by
/// nobody, and for nodes that wait for each other; those come last, in the given order.
void order_nodes(Model& model, Defects defects = {});

}  // namespace espquant::espdl
