#include "report/wrap.h"

#include "base/text.h"

namespace espquant::report {
namespace {

/// Bytes of the first line of a text that is longer than `width`.
std::size_t line_length(std::string_view text, std::size_t width) {
  const auto space = text.substr(0, width + 1).rfind(' ');
  if (space != std::string_view::npos && space > 0) return space;
  std::size_t length = width;
  while (length > 1 && is_utf8_continuation(text[length])) --length;
  return length;
}

}  // namespace

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    const std::size_t length = line_length(text, width);
    lines.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  if (!text.empty() || lines.empty()) lines.emplace_back(text);
  return lines;
}

}  // namespace espquant::report
