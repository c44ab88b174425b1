#pragma once

#include "espdl/container.h"
#include "espdl/model.h"

namespace espquant::espdl {

/// The Model of a FlatBuffer (ESP-DL reference 1.4). Nothing in it is trusted: throws
/// Error(Malformed) for whatever contradicts the format or itself, Error(Unsupported) for what
/// ESP-DL itself does not execute.
Model decode_model(const Payload& payload);

}  // namespace espquant::espdl
