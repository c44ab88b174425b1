#pragma once

#include <cstddef>

namespace espquant::report {

/// Of a page without an edge: a file or a pipe, from which nothing may be missing.
inline constexpr std::size_t kUnlimited = static_cast<std::size_t>(-1);

/// How many characters a line of a table may have. Unlimited until set_page_width() says otherwise.
std::size_t page_width();
/// Of running text, which is hard to read in longer lines.
std::size_t prose_width();

/// What is left of a line behind so many characters, at least enough to recognize a name.
std::size_t width_behind(std::size_t used);

/// Once, before anything is printed.
void set_page_width(std::size_t characters);

}  // namespace espquant::report
