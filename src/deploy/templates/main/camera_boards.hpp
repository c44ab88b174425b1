#pragma once

#include "sdkconfig.h"

// How the cameras of common boards are wired; -1: not at all.
namespace firmware {

struct CameraPins {
  int power_down, reset, xclk, sda, scl;
  int d7, d6, d5, d4, d3, d2, d1, d0;
  int vsync, href, pclk;
};

#if CONFIG_FIRMWARE_CAMERA_ESP32S3_EYE
constexpr CameraPins kCameraPins = {-1, -1, 15, 4, 5, 16, 17, 18, 12, 10, 8, 9, 11, 6, 7, 13};
#elif CONFIG_FIRMWARE_CAMERA_XIAO_ESP32S3
constexpr CameraPins kCameraPins = {-1, -1, 10, 40, 39, 48, 11, 12, 14, 16, 18, 17, 15, 38, 47, 13};
#elif CONFIG_FIRMWARE_CAMERA_AI_THINKER
constexpr CameraPins kCameraPins = {32, -1, 0, 26, 27, 35, 34, 39, 36, 21, 19, 18, 5, 25, 23, 22};
#elif CONFIG_FIRMWARE_CAMERA_WROVER_KIT
constexpr CameraPins kCameraPins = {-1, -1, 21, 26, 27, 35, 34, 39, 36, 19, 18, 5, 4, 25, 23, 22};
#elif CONFIG_FIRMWARE_CAMERA_M5STACK_PSRAM
constexpr CameraPins kCameraPins = {-1, 15, 27, 25, 23, 19, 36, 18, 39, 5, 34, 35, 32, 22, 26, 21};
#elif CONFIG_FIRMWARE_CAMERA_ESP32S2_KALUGA
constexpr CameraPins kCameraPins = {-1, -1, 1, 8, 7, 38, 21, 40, 39, 42, 41, 37, 36, 2, 3, 33};
#else
#error "Choose a board: idf.py menuconfig, Firmware"
#endif

}  // namespace firmware
