#pragma once

#include <cstddef>
#include <cstdint>

/// What generated projects use of esp_new_jpeg, on a PC: libjpeg decodes.
enum jpeg_error_t {
  JPEG_ERR_OK = 0,
  JPEG_ERR_FAIL = -1,
  JPEG_ERR_NO_MEM = -2,
  JPEG_ERR_INVALID_PARAM = -4,
  JPEG_ERR_BAD_DATA = -5,
};
enum jpeg_pixel_format_t { JPEG_PIXEL_FORMAT_RGB888, JPEG_PIXEL_FORMAT_RGB565_BE };
enum jpeg_rotate_t { JPEG_ROTATE_0D };

struct jpeg_resolution_t {
  uint16_t width, height;
};

struct jpeg_dec_config_t {
  jpeg_pixel_format_t output_type;
  jpeg_resolution_t scale, clipper;
  jpeg_rotate_t rotate;
  bool block_enable;
};

#define DEFAULT_JPEG_DEC_CONFIG() \
  { JPEG_PIXEL_FORMAT_RGB565_BE, {0, 0}, {0, 0}, JPEG_ROTATE_0D, false }

using jpeg_dec_handle_t = void*;

struct jpeg_dec_header_info_t {
  uint16_t width, height;
};

struct jpeg_dec_io_t {
  uint8_t* inbuf;
  int inbuf_len, inbuf_remain;
  uint8_t* outbuf;
  int out_size;
};

extern "C" jpeg_error_t jpeg_dec_open(jpeg_dec_config_t* config, jpeg_dec_handle_t* jpeg_dec);
extern "C" jpeg_error_t jpeg_dec_parse_header(jpeg_dec_handle_t jpeg_dec, jpeg_dec_io_t* io,
                                              jpeg_dec_header_info_t* out_info);
extern "C" jpeg_error_t jpeg_dec_get_outbuf_len(jpeg_dec_handle_t jpeg_dec, int* outbuf_len);
extern "C" jpeg_error_t jpeg_dec_process(jpeg_dec_handle_t jpeg_dec, jpeg_dec_io_t* io);
extern "C" jpeg_error_t jpeg_dec_close(jpeg_dec_handle_t jpeg_dec);
extern "C" void* jpeg_calloc_align(size_t size, int aligned);
extern "C" void jpeg_free_align(void* data);
