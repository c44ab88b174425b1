#pragma once

#include <cstddef>
#include <cstdint>

#include "esp_jpeg_dec.h"

namespace firmware {

// Decodes baseline JPEG by esp_new_jpeg. Decoders differ from each other in the last bit of a
// pixel, so that a JPEG frame is nearly, not exactly, what the PC would see in it.
class JpegDecoder {
 public:
  JpegDecoder() = default;
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Takes memory only where the picture is of another size than the one before. Returns nullptr, or
  // why there is no picture.
  const char* decode(const uint8_t* data, size_t size);

  // Of the last picture: RGB888, row by row without gaps.
  const uint8_t* pixels() const { return pixels_; }
  int32_t width() const { return width_; }
  int32_t height() const { return height_; }

 private:
  const char* open();
  void close();
  const char* read_header(jpeg_dec_io_t& io);
  const char* make_room();

  jpeg_dec_handle_t decoder_ = nullptr;
  uint8_t* pixels_ = nullptr;
  int room_ = 0;
  int32_t width_ = 0, height_ = 0;
};

}  // namespace firmware
