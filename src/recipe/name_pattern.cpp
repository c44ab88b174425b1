#include "recipe/name_pattern.h"

#include <cstddef>

namespace espquant::recipe {
namespace {

bool is_special(char c) { return c == '*' || c == '?' || c == '\\'; }

/// How many characters of the pattern the one at `p` takes: 2 where it is escaped.
std::size_t width_at(std::string_view pattern, std::size_t p) {
  return pattern[p] == '\\' && p + 1 < pattern.size() && is_special(pattern[p + 1]) ? 2 : 1;
}

bool fits(std::string_view pattern, std::size_t p, char c) {
  if (width_at(pattern, p) == 2) return pattern[p + 1] == c;
  return pattern[p] == '?' || pattern[p] == c;
}

}  // namespace

// Only the last star needs to be tried again: what an earlier one leaves to it, it can take too.
bool matches(std::string_view pattern, std::string_view name) {
  constexpr std::size_t kNoStar = std::string_view::npos;
  std::size_t p = 0, n = 0, star = kNoStar, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && fits(pattern, p, name[n])) {
      p += width_at(pattern, p);
      ++n;
    } else if (star != kNoStar) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string pattern_of(std::string_view name) {
  std::string pattern;
  for (char c : name) {
    if (is_special(c)) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace espquant::recipe
