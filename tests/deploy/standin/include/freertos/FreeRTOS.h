#pragma once

#include <cstdint>

typedef uint32_t TickType_t;
#define portMAX_DELAY 0xFFFFFFFFU
#define pdMS_TO_TICKS(ms) (ms)
