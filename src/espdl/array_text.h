#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/dtype.h"

namespace espquant::espdl {

/// Appends elements as NumPy's repr() shows a flat array: "array([ 1, -2], dtype=int8)", columns
/// aligned, lines of at most 75 characters, floats by their shortest digits (8 after the point at
/// most), nothing left out. `elements` is a multiple of the element size and not empty.
void append_array_text(std::string& out, DType dtype, std::span<const std::byte> elements);

}  // namespace espquant::espdl
