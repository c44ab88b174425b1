#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace espquant::report {

/// The text in lines of at most `width` bytes, broken at spaces; a longer word is broken where it
/// must, never inside a UTF-8 character. At least one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

}  // namespace espquant::report
