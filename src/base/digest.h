#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace espquant {

/// SHA-256 in hexadecimal digits.
std::string sha256_of(std::span<const std::byte> bytes);

}  // namespace espquant
