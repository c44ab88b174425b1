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

void refuse_unreadable(std::string_view text) {
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

/// What TOML takes for the beginning of a value that is no text.
bool begins_value(char c) {
  return std::string_view("\"'[{+-0123456789").find(c) != std::string_view::npos;
}

/// The word behind the '=' of line `number`, counted from 1, where it should stand in quotes.
std::string bare_word(std::string_view text, std::uint32_t number) {
  for (std::uint32_t line = 1; line < number; ++line) {
    const auto end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find_first_of("\n#"));
  const auto equals = text.find('=');
  if (equals == text.npos) return {};
  text.remove_prefix(equals + 1);
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos || begins_value(text[first])) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") + 1 - first));
}

}  // namespace

toml::table parse_toml(std::string_view text) try {
  refuse_unreadable(text);
  return toml::parse(text);
} catch (const toml::parse_error& error) {
  const auto line = static_cast<std::uint32_t>(error.source().begin.line);
  if (const std::string word = bare_word(text, line); !word.empty())
    throw Error(ErrorCode::Usage, fmt::format("line {}: {} is no value", line, word))
        .remedy(fmt::format("A text stands in quotes: \"{}\"", word));
  throw Error(ErrorCode::Usage, fmt::format("line {}: {}", line, error.description()));
}

}  // namespace espquant
