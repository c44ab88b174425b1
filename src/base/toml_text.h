#pragma once

#include <string_view>

namespace espquant {

/// For every text before toml++ reads it. That library takes tables apart one within the other, and
/// a key of a hundred thousand dots is as many of them: more than a stack holds. Throws
/// Error(Malformed) for keys of more parts, and for texts longer, than anybody writes.
void check_toml_text(std::string_view text);

}  // namespace espquant
