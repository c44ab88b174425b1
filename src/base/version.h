#pragma once

#include <string_view>

namespace espquant {

/// Of this program, as "0.1.0".
std::string_view version();

}  // namespace espquant
