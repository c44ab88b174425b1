#include "data/jpeg.h"

#include <array>
#include <csetjmp>
#include <cstdio>
#include <string>

// jpeglib.h needs <cstdio> before it, jerror.h needs jpeglib.h's configuration.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "base/error.h"
#include "data/image.h"

namespace espquant::data {
namespace {

// Each scan of a progressive file costs a pass over the whole image; encoders write about ten.
constexpr int kMaxScans = 200;

/// libjpeg reports by longjmp. The jumps end in the two functions below that call setjmp; neither
/// owns anything, so nothing is skipped over.
class JpegDecoder {
 public:
  JpegDecoder() {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = [](j_common_ptr jpeg) { self(jpeg).fail(jpeg); };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      if (level < 0 && loses_pixels(jpeg->err->msg_code)) self(jpeg).fail(jpeg);
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
      self(jpeg).too_many_scans_ = true;
      std::longjmp(self(jpeg).on_error_, 1);
    };
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&jpeg_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  Tensor decode(std::span<const std::byte> file) {
    if (!read_header(file)) throw malformed();
    if (jpeg_.num_components != 1 && jpeg_.num_components != 3)
      throw Error(ErrorCode::Unsupported, "a JPEG image that is neither gray nor RGB")
          .remedy("convert it to RGB");
    check_image_size(jpeg_.image_width, jpeg_.image_height);
    jpeg_.out_color_space = jpeg_.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    Tensor pixels(DType::UInt8, {jpeg_.image_height, jpeg_.image_width, jpeg_.num_components});
    if (!read_pixels(pixels.mutable_data<std::uint8_t>().data())) throw malformed();
    return pixels;
  }

 private:
  static JpegDecoder& self(j_common_ptr jpeg) {
    return *static_cast<JpegDecoder*>(jpeg->client_data);
  }

  /// Warnings after which part of the picture is made up; the others concern bytes beside it.
  static bool loses_pixels(int message) {
    return message == JWRN_JPEG_EOF || message == JWRN_HIT_MARKER ||
           message == JWRN_HUFF_BAD_CODE || message == JWRN_MUST_RESYNC ||
           message == JWRN_ARITH_BAD_CODE;
  }

  [[noreturn]] void fail(j_common_ptr jpeg) {
    jpeg->err->format_message(jpeg, message_.data());
    std::longjmp(on_error_, 1);
  }

  bool read_header(std::span<const std::byte> file) {
    if (setjmp(on_error_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool read_pixels(std::uint8_t* pixels) {
    if (setjmp(on_error_) != 0) return false;
    jpeg_start_decompress(&jpeg_);
    const std::size_t row_bytes = static_cast<std::size_t>(jpeg_.output_width) *
                                  static_cast<std::size_t>(jpeg_.output_components);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + row_bytes * jpeg_.output_scanline;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  Error malformed() const {
    if (too_many_scans_) return {ErrorCode::Malformed, "a JPEG image of too many scans"};
    return {ErrorCode::Malformed, "not a valid JPEG image: " + std::string(message_.data())};
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf on_error_{};
  std::array<char, JMSG_LENGTH_MAX> message_{};
  bool too_many_scans_ = false;
};

}  // namespace

Tensor decode_jpeg(std::span<const std::byte> file) { return JpegDecoder().decode(file); }

}  // namespace espquant::data
