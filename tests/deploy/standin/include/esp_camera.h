#pragma once

#include <cstddef>
#include <cstdint>

#include "esp_err.h"

/// A camera that shows the files that STANDIN_FRAME names, with colons between, one after the
/// other, as frames of the size and format that were asked for.
enum pixformat_t {
  PIXFORMAT_RGB565,
  PIXFORMAT_YUV422,
  PIXFORMAT_YUV420,
  PIXFORMAT_GRAYSCALE,
  PIXFORMAT_JPEG,
  PIXFORMAT_RGB888,
};
enum framesize_t { FRAMESIZE_96X96, FRAMESIZE_240X240, FRAMESIZE_VGA };
enum ledc_timer_t { LEDC_TIMER_0 };
enum ledc_channel_t { LEDC_CHANNEL_0 };
enum camera_fb_location_t { CAMERA_FB_IN_PSRAM, CAMERA_FB_IN_DRAM };
enum camera_grab_mode_t { CAMERA_GRAB_WHEN_EMPTY, CAMERA_GRAB_LATEST };

struct camera_config_t {
  int pin_pwdn, pin_reset, pin_xclk, pin_sccb_sda, pin_sccb_scl;
  int pin_d7, pin_d6, pin_d5, pin_d4, pin_d3, pin_d2, pin_d1, pin_d0;
  int pin_vsync, pin_href, pin_pclk;
  int xclk_freq_hz;
  ledc_timer_t ledc_timer;
  ledc_channel_t ledc_channel;
  pixformat_t pixel_format;
  framesize_t frame_size;
  int jpeg_quality;
  size_t fb_count;
  camera_fb_location_t fb_location;
  camera_grab_mode_t grab_mode;
};

struct camera_fb_t {
  uint8_t* buf;
  size_t len, width, height;
  pixformat_t format;
};

extern "C" esp_err_t esp_camera_init(const camera_config_t* config);
extern "C" camera_fb_t* esp_camera_fb_get();
extern "C" void esp_camera_fb_return(camera_fb_t* frame);
