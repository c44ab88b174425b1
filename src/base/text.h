#pragma once

#include <span>
#include <string>
#include <string_view>

namespace espquant {

/// The candidate with the least edit distance to `name`, if it is near enough to be a slip of the
/// pen; else "".
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// Whether the byte goes on with a UTF-8 character.
constexpr bool is_utf8_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

/// Whether the text is UTF-8 as RFC 3629 has it: no overlong forms, no surrogates.
bool is_utf8(std::string_view text);

/// A word of a command line to type: quoted where the shell would read it otherwise.
std::string shell_word(const std::string& word);

}  // namespace espquant
