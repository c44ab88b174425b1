#pragma once

#include <cstddef>
#include <span>

namespace espquant::espdl {

/// Bytes that zlib makes of these at its best level, about what a compressed update over the air
/// takes.
std::size_t compressed_size(std::span<const std::byte> bytes);

}  // namespace espquant::espdl
