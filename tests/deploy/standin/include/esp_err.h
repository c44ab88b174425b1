#pragma once

#include <cstdio>
#include <cstdlib>

typedef int esp_err_t;

#define ESP_OK 0
#define ESP_FAIL -1
#define ESP_ERROR_CHECK(call)                 \
  do {                                        \
    const esp_err_t error_ = (call);          \
    if (error_ != ESP_OK) {                   \
      printf("ESP_ERROR_CHECK: %s\n", #call); \
      std::abort();                           \
    }                                         \
  } while (0)
