#pragma once

#include <span>

#include "base/embedded_text.h"

namespace espquant::search {

/// space.toml.
std::span<const EmbeddedText> embedded_space();

}  // namespace espquant::search
