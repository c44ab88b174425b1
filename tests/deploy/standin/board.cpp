#include "tests/deploy/standin/board.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "esp_heap_caps.h"
#include "esp_timer.h"
#include "nvs.h"
#include "nvs_flash.h"

namespace espquant::test::standin {

std::size_t& ram_taken() {
  static std::size_t taken = 0;
  return taken;
}

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace espquant::test::standin

namespace standin = espquant::test::standin;

int64_t esp_timer_get_time() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

size_t heap_caps_get_free_size(uint32_t caps) {
  constexpr size_t kInternal = 300 << 10, kPsram = 64 << 20;
  return caps == MALLOC_CAP_SPIRAM ? kPsram - standin::ram_taken() : kInternal;
}

void* heap_caps_malloc(size_t size, uint32_t) { return std::malloc(size); }
void* heap_caps_aligned_alloc(size_t alignment, size_t size, uint32_t) {
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void heap_caps_free(void* memory) { std::free(memory); }

esp_err_t nvs_flash_init() { return standin::setting("STANDIN_NVS").empty() ? ESP_FAIL : ESP_OK; }

esp_err_t nvs_open(const char* space, nvs_open_mode_t, nvs_handle_t* handle) {
  *handle = 1;
  std::ifstream file(standin::setting("STANDIN_NVS"));
  for (std::string line; std::getline(file, line);)
    if (line == std::string(space) + ",namespace,,") return ESP_OK;
  return ESP_FAIL;
}

esp_err_t nvs_get_blob(nvs_handle_t, const char* key, void* value, size_t* size) {
  std::ifstream file(standin::setting("STANDIN_NVS"));
  const std::string start = std::string(key) + ",data,hex2bin,";
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(start, 0) != 0) continue;
    const std::string digits = line.substr(start.size());
    if (digits.size() > 2 * *size) return ESP_FAIL;
    *size = digits.size() / 2;
    for (size_t i = 0; i < *size; ++i)
      static_cast<unsigned char*>(value)[i] =
          static_cast<unsigned char>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
    return ESP_OK;
  }
  return ESP_FAIL;
}

void nvs_close(nvs_handle_t) {}
