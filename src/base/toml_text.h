#pragma once

#include <toml++/toml.h>

#include <string_view>

namespace espquant {

/// The table that `text` says. Throws Error(Usage), with the line, for what is no TOML, and
/// Error(Malformed) for keys of more parts, and for texts longer, than anybody writes: toml++ takes
/// tables apart one within the other, and a key of a hundred thousand dots is as many of them, more
/// than a stack holds.
toml::table parse_toml(std::string_view text);

}  // namespace espquant
