#pragma once

#include <span>
#include <string>
#include <string_view>

namespace espquant {

/// The candidate with the least edit distance to `name`, if it is near enough to be a slip of the
/// pen; else "".
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace espquant
