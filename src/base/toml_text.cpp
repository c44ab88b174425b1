#include "base/toml_text.h"

#include <fmt/format.h>

#include "base/error.h"

namespace espquant {
namespace {

constexpr std::size_t kLongestToml = std::size_t{1} << 20;
/// toml++ itself allows 256 values within each other, each of which may have such a key.
constexpr int kMostDots = 32;

/// What stands between two keys, or between a key and its value.
constexpr std::string_view kSeparators = "=,[]{}";

}  // namespace

void check_toml_text(std::string_view text) {
  if (text.size() > kLongestToml)
    throw Error(ErrorCode::Malformed,
                fmt::format("{} bytes of TOML are more than the {} that are read", text.size(),
                            kLongestToml));
  int line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string_view rest = text.substr(begin);
    const std::string_view one = rest.substr(0, rest.find('\n'));
    begin += one.size() + 1;
    ++line;
    // A line that begins so is a comment, or within a text: it holds no key.
    if (const auto first = one.find_first_not_of(" \t"); first != one.npos && one[first] == '#')
      continue;
    int dots = 0;
    for (const char c : one) {
      if (kSeparators.find(c) != kSeparators.npos) dots = 0;
      if (c == '.' && ++dots > kMostDots)
        throw Error(ErrorCode::Malformed,
                    fmt::format("line {}: a key of more than {} parts", line, kMostDots));
    }
  }
}

}  // namespace espquant
