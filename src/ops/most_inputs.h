#pragma once

#include <cstddef>
#include <string_view>

namespace espquant::ops {

/// Operators that take any number of inputs.
inline constexpr std::size_t kAnyNumber = static_cast<std::size_t>(-1);

/// How many inputs ONNX gives the operator in whichever of the versions that are read has most.
/// Throws Error(Internal) for an operator that the registry does not have.
std::size_t most_inputs(std::string_view op);

}  // namespace espquant::ops
