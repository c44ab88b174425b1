#pragma once

#include "esp_vfs_fat.h"
