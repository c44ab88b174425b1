#include "data/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "data/jpeg.h"
#include "data/png.h"

namespace espquant::data {

void check_image_size(std::int64_t width, std::int64_t height) {
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > kMaxImagePixels)
    throw Error(ErrorCode::BadData,
                fmt::format("an image of {}x{} pixels is larger than is accepted", width, height))
        .remedy(fmt::format("scale it to at most {} pixels", kMaxImagePixels));
}

Tensor decode_image(std::span<const std::byte> file) {
  const std::string_view start(reinterpret_cast<const char*>(file.data()),
                               std::min<std::size_t>(file.size(), 8));
  if (start.starts_with("\xFF\xD8\xFF")) return decode_jpeg(file);
  if (start == "\x89PNG\r\n\x1A\n") return decode_png(file);
  throw Error(ErrorCode::Unsupported, "neither a JPEG nor a PNG image").remedy("convert it to PNG");
}

Tensor read_image(const std::filesystem::path& path) {
  try {
    return decode_image(read_file(path));
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

bool has_image_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

}  // namespace espquant::data
