#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/tensor.h"

/// Still images. The decoders give the pixels that cv2.imread and PIL.Image.open give: libjpeg's
/// accurate integer transform with smooth chroma, the high byte of 16-bit samples, palettes
/// resolved, alpha dropped, no gamma or colour profile applied, EXIF orientation ignored.
namespace espquant::data {

/// Images with a longer side or more pixels are refused before memory is taken.
inline constexpr std::int64_t kMaxImageSide = 16384;
inline constexpr std::int64_t kMaxImagePixels = std::int64_t{1} << 26;

/// Throws Error(BadData) where the limits are exceeded.
void check_image_size(std::int64_t width, std::int64_t height);

/// A JPEG or PNG file as uint8 pixels (H,W,1) or (H,W,3) in RGB order, gray only if the file is.
/// Throws Error(Malformed) when it is damaged or cut short, Error(Unsupported) for other formats
/// and for CMYK, Error(BadData) beyond the limits.
Tensor decode_image(std::span<const std::byte> file);
Tensor read_image(const std::filesystem::path& path);

/// ".jpg", ".jpeg" or ".png" in any case.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace espquant::data
