#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace espquant::data {

enum class Resize : std::uint8_t {
  OpenCvBilinear,  ///< cv2.resize(..., INTER_LINEAR): two neighbours per axis at any factor
  PillowBilinear,  ///< PIL.Image.resize(..., BILINEAR), and so torchvision's: antialiased when it
                   ///< shrinks
  Nearest,         ///< the pixel that holds the centre of the new one, as PIL.Image.NEAREST
};

/// `image` (H,W,C) of uint8, C = 1 or 3, in another size; the same pixels when the size is the
/// same.
Tensor resize_image(const Tensor& image, std::int64_t width, std::int64_t height, Resize method);

}  // namespace espquant::data
