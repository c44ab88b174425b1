#pragma once

#include <string>
#include <string_view>

namespace espquant::recipe {

/// Whether the whole of `name` is as `pattern` says: '*' stands for any run of characters, '/'
/// included, '?' for any one; everything else for itself, and so do these two and '\\' behind a
/// '\\'. In time |pattern| * |name| at most.
bool matches(std::string_view pattern, std::string_view name);

/// The pattern that only `name` is like.
std::string pattern_of(std::string_view name);

}  // namespace espquant::recipe
