#pragma once

#include "dl_model_base.hpp"

namespace firmware {

// Opens the model of that name in the stored package, or the stored model where it is nullptr.
// Returns nullptr, having said why, when that fails.
dl::Model* open_stored_model(const char* name_in_package);

}  // namespace firmware
