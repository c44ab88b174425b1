#pragma once

#include <span>

#include "base/embedded_text.h"

namespace espquant::recipe {

/// recipes/*.toml, in the order in which they are listed to users.
std::span<const EmbeddedText> embedded_recipes();

}  // namespace espquant::recipe
