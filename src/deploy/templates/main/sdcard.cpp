#include "sdcard.hpp"

#include <cstdio>

#include "esp_vfs_fat.h"
#include "sdkconfig.h"

#if CONFIG_FIRMWARE_SD_SPI
#include "driver/sdspi_host.h"
#include "driver/spi_common.h"
#else
#include "driver/sdmmc_host.h"
#endif

namespace firmware {
namespace {

constexpr char kMount[] = "/sdcard";

#if CONFIG_FIRMWARE_SD_SPI

esp_err_t mount(const esp_vfs_fat_mount_config_t& config, sdmmc_card_t** card) {
  sdmmc_host_t host = SDSPI_HOST_DEFAULT();
  spi_bus_config_t bus = {};
  bus.mosi_io_num = CONFIG_FIRMWARE_SD_CMD;
  bus.miso_io_num = CONFIG_FIRMWARE_SD_D0;
  bus.sclk_io_num = CONFIG_FIRMWARE_SD_CLK;
  bus.quadwp_io_num = -1;
  bus.quadhd_io_num = -1;
  const auto id = static_cast<spi_host_device_t>(host.slot);
  if (const esp_err_t error = spi_bus_initialize(id, &bus, SDSPI_DEFAULT_DMA); error != ESP_OK)
    return error;
  sdspi_device_config_t slot = SDSPI_DEVICE_CONFIG_DEFAULT();
  slot.gpio_cs = static_cast<gpio_num_t>(CONFIG_FIRMWARE_SD_CS);
  slot.host_id = id;
  return esp_vfs_fat_sdspi_mount(kMount, &host, &slot, &config, card);
}

#else

esp_err_t mount(const esp_vfs_fat_mount_config_t& config, sdmmc_card_t** card) {
  sdmmc_host_t host = SDMMC_HOST_DEFAULT();
  sdmmc_slot_config_t slot = SDMMC_SLOT_CONFIG_DEFAULT();
  slot.width = 1;  // boards differ in whether they connect more
#if CONFIG_SOC_SDMMC_USE_GPIO_MATRIX
  slot.clk = static_cast<gpio_num_t>(CONFIG_FIRMWARE_SD_CLK);
  slot.cmd = static_cast<gpio_num_t>(CONFIG_FIRMWARE_SD_CMD);
  slot.d0 = static_cast<gpio_num_t>(CONFIG_FIRMWARE_SD_D0);
#endif
  return esp_vfs_fat_sdmmc_mount(kMount, &host, &slot, &config, card);
}

#endif

}  // namespace

bool mount_sdcard() {
  static bool mounted = false;
  if (mounted) return true;
  esp_vfs_fat_mount_config_t config = {};
  config.format_if_mount_failed = false;
  config.max_files = 2;
  sdmmc_card_t* card = nullptr;
  const esp_err_t error = mount(config, &card);
  mounted = error == ESP_OK;
  if (!mounted) printf("the SD card cannot be read: error %d\n", error);
  return mounted;
}

}  // namespace firmware
