#pragma once

#include <cstdint>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::schedule {

/// Runs both models on the same inputs, the test values that `before` carries and `frames` random
/// ones over the whole range of their type, one after the other as a stream, and compares the
/// outputs, and the tensors that test values name, bit for bit. Throws Error(Internal), which names
/// the tensor, where they differ.
void require_same_integers(const espdl::Model& before, const espdl::Model& after,
                           const Target& target, std::int64_t frames = 2);

}  // namespace espquant::schedule
