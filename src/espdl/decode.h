#pragma once

#include "espdl/container.h"
#include "espdl/defects.h"
#include "espdl/model.h"

namespace espquant::espdl {

/// The Model of a FlatBuffer (ESP-DL reference 1.4). Nothing in it is trusted: throws
/// Error(Malformed) for whatever contradicts the format or itself, Error(Unsupported) for what
/// ESP-DL itself does not execute. Where `defects` gathers, only what leaves nothing to read is
/// thrown; tensors that cannot be read are left out, and elements that do not lie on a 16-byte
/// boundary are a defect as well.
Model decode_model(const Payload& payload, Defects defects = {});

}  // namespace espquant::espdl
