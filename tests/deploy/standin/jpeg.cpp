#include "data/jpeg.h"

#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>

#include "base/error.h"
#include "esp_jpeg_dec.h"

namespace {

/// Decodes with the header, and copies the pixels out when it is told to.
struct Decoder {
  std::optional<espquant::Tensor> picture;
  /// Of the pictures that this one goes on with.
  espquant::Shape shape;
};

Decoder& decoder(jpeg_dec_handle_t handle) { return *static_cast<Decoder*>(handle); }

}  // namespace

jpeg_error_t jpeg_dec_open(jpeg_dec_config_t* config, jpeg_dec_handle_t* jpeg_dec) {
  if (config->output_type != JPEG_PIXEL_FORMAT_RGB888) return JPEG_ERR_INVALID_PARAM;
  *jpeg_dec = new Decoder;
  return JPEG_ERR_OK;
}

jpeg_error_t jpeg_dec_parse_header(jpeg_dec_handle_t jpeg_dec, jpeg_dec_io_t* io,
                                   jpeg_dec_header_info_t* out_info) {
  const std::span bytes(reinterpret_cast<const std::byte*>(io->inbuf),
                        static_cast<std::size_t>(io->inbuf_len));
  try {
    decoder(jpeg_dec).picture = espquant::data::decode_jpeg(bytes);
  } catch (const espquant::Error&) {
    return JPEG_ERR_BAD_DATA;
  }
  const espquant::Shape& shape = decoder(jpeg_dec).picture->shape();
  out_info->height = static_cast<uint16_t>(shape[0]);
  out_info->width = static_cast<uint16_t>(shape[1]);
  return JPEG_ERR_OK;
}

jpeg_error_t jpeg_dec_get_outbuf_len(jpeg_dec_handle_t jpeg_dec, int* outbuf_len) {
  const auto& picture = decoder(jpeg_dec).picture;
  if (!picture) return JPEG_ERR_FAIL;
  *outbuf_len = static_cast<int>(picture->shape()[0] * picture->shape()[1] * 3);
  return JPEG_ERR_OK;
}

jpeg_error_t jpeg_dec_process(jpeg_dec_handle_t jpeg_dec, jpeg_dec_io_t* io) {
  Decoder& it = decoder(jpeg_dec);
  if (!it.picture || reinterpret_cast<std::uintptr_t>(io->outbuf) % 16 != 0) return JPEG_ERR_FAIL;
  if (it.shape.empty()) it.shape = it.picture->shape();
  if (it.shape != it.picture->shape()) return JPEG_ERR_INVALID_PARAM;
  const auto pixels = it.picture->data<std::uint8_t>();
  const bool gray = it.picture->shape()[2] == 1;
  for (std::size_t i = 0; i < pixels.size() * (gray ? 3 : 1); ++i)
    io->outbuf[i] = pixels[gray ? i / 3 : i];
  return JPEG_ERR_OK;
}

jpeg_error_t jpeg_dec_close(jpeg_dec_handle_t jpeg_dec) {
  delete static_cast<Decoder*>(jpeg_dec);
  return JPEG_ERR_OK;
}

void* jpeg_calloc_align(size_t size, int aligned) {
  const auto alignment = static_cast<size_t>(aligned);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void jpeg_free_align(void* data) { std::free(data); }
