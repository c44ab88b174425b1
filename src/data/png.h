#pragma once

#include <cstddef>
#include <span>

#include "base/tensor.h"

namespace espquant::data {

/// As decode_image(), for a PNG file.
Tensor decode_png(std::span<const std::byte> file);

}  // namespace espquant::data
