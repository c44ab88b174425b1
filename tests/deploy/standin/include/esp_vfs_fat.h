#pragma once

#include "esp_err.h"

/// The card is the folder that STANDIN_SDCARD names.
struct esp_vfs_fat_mount_config_t {
  bool format_if_mount_failed;
  int max_files;
};
struct sdmmc_card_t;
struct sdmmc_host_t {
  int slot;
};
struct sdmmc_slot_config_t {
  int width;
};
#define SDMMC_HOST_DEFAULT() \
  { 0 }
#define SDMMC_SLOT_CONFIG_DEFAULT() \
  { 1 }

extern "C" esp_err_t esp_vfs_fat_sdmmc_mount(const char* path, const sdmmc_host_t* host,
                                             const void* slot,
                                             const esp_vfs_fat_mount_config_t* config,
                                             sdmmc_card_t** card);
