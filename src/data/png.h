#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/tensor.h"

namespace espquant::data {

/// As decode_image(), for a PNG file.
Tensor decode_png(std::span<const std::byte> file);

/// uint8 pixels (H,W,1) or (H,W,3) in RGB order as a PNG file, equal bytes for equal pixels.
std::vector<std::byte> encode_png(const Tensor& pixels);

}  // namespace espquant::data
