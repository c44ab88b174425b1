#include <cstdio>

#include "camera_boards.hpp"
#include "esp_camera.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "model.hpp"
#include "postprocess.hpp"
#include "preprocess.hpp"

namespace {

using firmware::PixelFormat;

// The smallest frame that is not smaller than the picture the model takes.
framesize_t frame_size(const firmware::PreprocessSettings& settings) {
  const int32_t side = settings.width > settings.height ? settings.width : settings.height;
  if (side <= 96) return FRAMESIZE_96X96;
  if (side <= 240) return FRAMESIZE_240X240;
  return FRAMESIZE_VGA;
}

bool start_camera(const firmware::PreprocessSettings& settings) {
  const firmware::CameraPins& pins = firmware::kCameraPins;
  camera_config_t config = {};
  config.pin_pwdn = pins.power_down;
  config.pin_reset = pins.reset;
  config.pin_xclk = pins.xclk;
  config.pin_sccb_sda = pins.sda;
  config.pin_sccb_scl = pins.scl;
  config.pin_d7 = pins.d7;
  config.pin_d6 = pins.d6;
  config.pin_d5 = pins.d5;
  config.pin_d4 = pins.d4;
  config.pin_d3 = pins.d3;
  config.pin_d2 = pins.d2;
  config.pin_d1 = pins.d1;
  config.pin_d0 = pins.d0;
  config.pin_vsync = pins.vsync;
  config.pin_href = pins.href;
  config.pin_pclk = pins.pclk;
  config.xclk_freq_hz = 20000000;
  config.ledc_timer = LEDC_TIMER_0;
  config.ledc_channel = LEDC_CHANNEL_0;
  config.pixel_format =
      settings.color == firmware::Color::Gray ? PIXFORMAT_GRAYSCALE : PIXFORMAT_RGB565;
  config.frame_size = frame_size(settings);
  config.fb_count = 2;
  config.fb_location = CAMERA_FB_IN_PSRAM;
  config.grab_mode = CAMERA_GRAB_LATEST;
  return esp_camera_init(&config) == ESP_OK;
}

// What the driver calls the order of the bytes. Returns false for what is no plain picture.
bool format_of(const camera_fb_t& frame, PixelFormat& format) {
  switch (frame.format) {
    case PIXFORMAT_GRAYSCALE:
      format = PixelFormat::Gray;
      return true;
    case PIXFORMAT_RGB565:
      format = PixelFormat::Rgb565BigEndian;
      return true;
    case PIXFORMAT_RGB888:
      format = PixelFormat::Bgr888;
      return true;
    case PIXFORMAT_YUV422:
      format = PixelFormat::Yuyv;
      return true;
    default:
      return false;
  }
}

// Returns nullptr, or why the frame is of no use.
const char* prepare(firmware::Preprocessor& preprocessor, const camera_fb_t& frame, void* input) {
  PixelFormat format;
  if (!format_of(frame, format)) return "a format without plain pixels";
  const auto width = static_cast<int32_t>(frame.width), height = static_cast<int32_t>(frame.height);
  if (!preprocessor.ready_for(width, height, format))
    if (const char* reason = preprocessor.prepare(width, height, format)) return reason;
  if (frame.len < preprocessor.frame_bytes()) return "the frame is cut short";
  preprocessor.run(frame.buf, input);
  return nullptr;
}

}  // namespace

extern "C" void app_main() {
  const firmware::ModelFacts& facts = firmware::kModels[0];
  dl::Model* model = firmware::load_model(facts);
  if (model == nullptr) return;
  if (!start_camera(*facts.preprocess)) {
    printf("the camera does not start: is the board right that menuconfig names?\n");
    return;
  }
  firmware::Preprocessor preprocessor(*facts.preprocess);
  void* input = firmware::input_data(model, facts.inputs[0]);
  while (camera_fb_t* frame = esp_camera_fb_get()) {
    const int64_t start = esp_timer_get_time();
    const char* reason = prepare(preprocessor, *frame, input);
    esp_camera_fb_return(frame);
    if (reason != nullptr) {
      printf("%s\n", reason);
      continue;
    }
    const int64_t prepared = esp_timer_get_time();
    model->run();
    const int64_t end = esp_timer_get_time();
    for (size_t i = 0; i < facts.output_count; ++i)
      firmware::print_output(facts, facts.outputs[i],
                             firmware::output_data(model, facts.outputs[i]));
    printf("prepared in %.1f ms, run:%.1f ms\n", static_cast<double>(prepared - start) / 1000,
           static_cast<double>(end - prepared) / 1000);
    vTaskDelay(1);
  }
  printf("the camera gives no frame\n");
}
