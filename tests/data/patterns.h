#pragma once

#include "base/tensor.h"

namespace espquant::test {

/// Pixels (37x + 91y + 53c + 7xy) % 256 as uint8 (H,W,C).
inline Tensor pattern(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Tensor image(DType::UInt8, {height, width, channels});
  auto to = image.mutable_data<std::uint8_t>().begin();
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c)
        *to++ = static_cast<std::uint8_t>((37 * x + 91 * y + 53 * c + 7 * x * y) % 256);
  return image;
}

}  // namespace espquant::test
