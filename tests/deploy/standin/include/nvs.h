#pragma once

#include <cstddef>
#include <cstdint>

#include "esp_err.h"

typedef uint32_t nvs_handle_t;
enum nvs_open_mode_t { NVS_READONLY, NVS_READWRITE };

/// The partition is the file that STANDIN_NVS names, written as nvs_partition_gen.py takes it.
extern "C" esp_err_t nvs_open(const char* space, nvs_open_mode_t mode, nvs_handle_t* handle);
extern "C" esp_err_t nvs_get_blob(nvs_handle_t handle, const char* key, void* value, size_t* size);
extern "C" void nvs_close(nvs_handle_t handle);
