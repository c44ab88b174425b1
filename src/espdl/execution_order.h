#pragma once

#include "espdl/model.h"

namespace espquant::espdl {

/// Puts the nodes into an order in which every tensor is there before it is read, keeping the given
/// order where it serves. Throws Error(Malformed) when a tensor is produced twice or by nobody, or
/// when nodes wait for each other.
void order_nodes(Model& model);

}  // namespace espquant::espdl
