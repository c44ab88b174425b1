#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "esp_camera.h"
#include "tests/deploy/standin/board.h"

namespace {

camera_config_t camera;

}  // namespace

esp_err_t esp_camera_init(const camera_config_t* config) {
  camera = *config;
  return config->pin_xclk >= 0 ? ESP_OK : ESP_FAIL;
}

camera_fb_t* esp_camera_fb_get() {
  static std::vector<char> bytes;
  static camera_fb_t frame{};
  static std::istringstream names(espquant::test::standin::setting("STANDIN_FRAME"));
  std::string name;
  if (!std::getline(names, name, ':')) return nullptr;
  std::ifstream file(name, std::ios::binary);
  bytes.assign(std::istreambuf_iterator<char>(file), {});
  const size_t side = camera.frame_size == FRAMESIZE_96X96 ? 96 : 240;
  frame = {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size(), side, side, camera.pixel_format};
  return &frame;
}

void esp_camera_fb_return(camera_fb_t*) {}
