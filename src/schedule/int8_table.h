#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "espdl/index.h"
#include "target/target.h"

namespace espquant::schedule {

/// What a node makes of each int8 value, at index q + 128.
using Int8Values = std::array<std::int8_t, 256>;

/// Of a node that computes each int8 element from one int8 element, as the chip computes it: by its
/// table, or by simulating it on all values. Nothing for other nodes, and for tensors so small that
/// the runtime takes another path.
std::optional<Int8Values> int8_values_of(const espdl::Node& node, const espdl::ModelIndex& index,
                                         const Target& target);

}  // namespace espquant::schedule
