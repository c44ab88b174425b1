#pragma once

#include <span>

#include "sim/kernel.h"

namespace espquant::sim {

/// Multiplications of one run that a model may take: the fastest chip needs minutes for so many,
/// and no network that anybody puts on one is near it. A file of few bytes can ask for any number.
inline constexpr double kMostMultiplications = 1e11;

/// Of one node, or as many elements as it reads and writes; by the shapes that it is prepared with.
double multiplications_of(const espdl::Node& node, std::span<const TensorDesc> inputs,
                          std::span<const TensorDesc> outputs);

}  // namespace espquant::sim
