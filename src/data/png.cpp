#include "data/png.h"

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/image.h"

namespace espquant::data {
namespace {

constexpr png_alloc_size_t kMaxChunk = 1 << 23;  // unpacked text or colour profile

/// libpng reports by longjmp. The jumps end in the two functions below that call setjmp; neither
/// owns anything, so nothing is skipped over.
class PngDecoder {
 public:
  explicit PngDecoder(std::span<const std::byte> file) : rest_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error,
                                  [](png_structp, png_const_charp) {});
    if (png_ == nullptr) throw std::bad_alloc();
    info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  Tensor decode() {
    if (!read_header()) throw malformed();
    const std::int64_t width = png_get_image_width(png_, info_),
                       height = png_get_image_height(png_, info_);
    check_image_size(width, height);
    if (!prepare()) throw malformed();
    const std::int64_t channels = png_get_channels(png_, info_);
    const std::size_t row_bytes = png_get_rowbytes(png_, info_);
    ESPQUANT_ASSERT(
        (channels == 1 || channels == 3) && row_bytes == static_cast<std::size_t>(width * channels),
        "libpng's transformations give other rows than were asked for");
    Tensor pixels(DType::UInt8, {height, width, channels});
    auto* first = pixels.mutable_data<std::uint8_t>().data();
    std::vector<png_bytep> rows(static_cast<std::size_t>(height));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = first + y * row_bytes;
    if (!read_pixels(rows.data())) throw malformed();
    return pixels;
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::strncpy(self.message_, message, sizeof self.message_ - 1);
    std::longjmp(self.on_error_, 1);
  }

  static void on_read(png_structp png, png_bytep to, png_size_t count) {
    auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (count > self.rest_.size()) png_error(png, "it ends early");
    std::memcpy(to, self.rest_.data(), count);
    self.rest_ = self.rest_.subspan(count);
  }

  bool read_header() {
    if (setjmp(on_error_) != 0) return false;
    png_set_read_fn(png_, this, on_read);
    png_set_chunk_malloc_max(png_, kMaxChunk);
    png_read_info(png_, info_);
    return true;
  }

  /// Asks for 8-bit gray or RGB rows.
  bool prepare() {
    if (setjmp(on_error_) != 0) return false;
    png_set_strip_16(png_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_pixels(png_bytepp rows) {
    if (setjmp(on_error_) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  Error malformed() const {
    return {ErrorCode::Malformed, "not a valid PNG image: " + std::string(message_)};
  }

  std::span<const std::byte> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf on_error_{};
  char message_[128] = {};
};

}  // namespace

Tensor decode_png(std::span<const std::byte> file) { return PngDecoder(file).decode(); }

std::vector<std::byte> encode_png(const Tensor& pixels) {
  ESPQUANT_ASSERT(pixels.shape().size() == 3 && (pixels.shape()[2] == 1 || pixels.shape()[2] == 3),
                  "a picture is (H,W,1) or (H,W,3)");
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(pixels.shape()[0]);
  image.width = static_cast<png_uint_32>(pixels.shape()[1]);
  image.format = pixels.shape()[2] == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  std::vector<std::byte> file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  if (png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data<std::uint8_t>().data(),
                                0, nullptr) == 0)
    throw Error(ErrorCode::Internal, "a picture is not written: " + std::string(image.message));
  file.resize(size);
  return file;
}

}  // namespace espquant::data
