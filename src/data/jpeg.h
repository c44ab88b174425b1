#pragma once

#include <cstddef>
#include <span>

#include "base/tensor.h"

namespace espquant::data {

/// As decode_image(), for a JPEG file.
Tensor decode_jpeg(std::span<const std::byte> file);

}  // namespace espquant::data
