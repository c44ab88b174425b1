#include "jpeg.hpp"

namespace firmware {

JpegDecoder::~JpegDecoder() {
  close();
  jpeg_free_align(pixels_);
}

const char* JpegDecoder::open() {
  if (decoder_ != nullptr) return nullptr;
  jpeg_dec_config_t config = DEFAULT_JPEG_DEC_CONFIG();
  config.output_type = JPEG_PIXEL_FORMAT_RGB888;
  if (jpeg_dec_open(&config, &decoder_) == JPEG_ERR_OK) return nullptr;
  decoder_ = nullptr;
  return "there is no memory for the JPEG decoder";
}

void JpegDecoder::close() {
  if (decoder_ != nullptr) jpeg_dec_close(decoder_);
  decoder_ = nullptr;
  width_ = height_ = 0;
}

const char* JpegDecoder::make_room() {
  constexpr int kAlignment = 16;
  int size = 0;
  if (jpeg_dec_get_outbuf_len(decoder_, &size) != JPEG_ERR_OK || size <= 0)
    return "the JPEG frame has no size";
  if (size <= room_) return nullptr;
  jpeg_free_align(pixels_);
  room_ = 0;
  pixels_ = static_cast<uint8_t*>(jpeg_calloc_align(static_cast<size_t>(size), kAlignment));
  if (pixels_ == nullptr) return "there is no memory for the pixels of the JPEG frame";
  room_ = size;
  return nullptr;
}

const char* JpegDecoder::read_header(jpeg_dec_io_t& io) {
  if (const char* reason = open()) return reason;
  jpeg_dec_header_info_t header = {};
  if (jpeg_dec_parse_header(decoder_, &io, &header) != JPEG_ERR_OK)
    return "the frame is no baseline JPEG";
  // A decoder goes on with pictures of one size; for another there is a new one.
  if (width_ != 0 && (header.width != width_ || header.height != height_)) {
    close();
    return read_header(io);
  }
  width_ = header.width;
  height_ = header.height;
  return nullptr;
}

const char* JpegDecoder::decode(const uint8_t* data, size_t size) {
  jpeg_dec_io_t io = {};
  io.inbuf = const_cast<uint8_t*>(data);  // which is only read
  io.inbuf_len = static_cast<int>(size);
  const char* reason = read_header(io);
  if (reason == nullptr) reason = make_room();
  io.outbuf = pixels_;
  if (reason == nullptr && jpeg_dec_process(decoder_, &io) != JPEG_ERR_OK)
    reason = "the JPEG frame is damaged";
  if (reason != nullptr) close();
  return reason;
}

}  // namespace firmware
