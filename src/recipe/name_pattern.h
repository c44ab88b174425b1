#pragma once

#include <string_view>

namespace espquant::recipe {

/// Whether the whole of `name` is as `pattern` says: '*' stands for any run of characters, '/'
/// included, '?' for any one; everything else for itself. In time |pattern| * |name| at most.
bool matches(std::string_view pattern, std::string_view name);

}  // namespace espquant::recipe
