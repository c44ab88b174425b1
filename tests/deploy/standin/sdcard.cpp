#include <filesystem>
#include <string_view>

#include "esp_vfs_fat.h"
#include "tests/deploy/standin/board.h"

esp_err_t esp_vfs_fat_sdmmc_mount(const char* path, const sdmmc_host_t*, const void*,
                                  const esp_vfs_fat_mount_config_t*, sdmmc_card_t**) {
  const bool there =
      std::filesystem::is_directory(espquant::test::standin::setting("STANDIN_SDCARD"));
  return std::string_view(path) == "/sdcard" && there ? ESP_OK : ESP_FAIL;
}
