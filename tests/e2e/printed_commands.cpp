#include "tests/e2e/printed_commands.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>

namespace espquant::test {
namespace {

constexpr std::string_view kIndent = "    ", kPrompt = "$ ", kAnything = "...";

std::vector<std::string> lines_of_text(std::istream& text) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

bool is_shell_line(const std::string& line) {
  static const std::regex kShell("^(espquant|cp|printf|echo|openssl|head) .*");
  static const std::regex kSynopsis(".*(\\[[A-Z-]|\\[--|\\b[A-Z_]{3,}\\b(?!\\.)).*");
  return std::regex_match(line, kShell) && !std::regex_match(line, kSynopsis);
}

/// A number, the place of its last digit, and what follows it: "70.8", "94.08", "1.2e-05".
struct Number {
  double value = 0, place = 1;
};

std::optional<Number> number_of(std::string_view word) {
  std::string digits;
  for (const char c : word)
    if (c != ',') digits += c;  // 36,688
  Number number;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number.value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  const auto exponent = digits.find_first_of("eE");
  const auto point = digits.find('.');
  if (exponent != std::string::npos)
    number.place = std::abs(number.value) / 2;
  else if (point != std::string::npos)
    number.place = std::pow(10.0, -static_cast<double>(digits.size() - point - 1));
  return number;
}

bool numbers_agree(const Number& a, const Number& b) {
  constexpr double kShare = 1.0 / 3;
  const double larger = std::max(std::abs(a.value), std::abs(b.value));
  return std::abs(a.value - b.value) <= std::max(kShare * larger, std::max(a.place, b.place));
}

/// Words and numbers; signs around numbers are words of their own: "(float", "94.25", "%", ")".
std::vector<std::string> words_of(const std::string& line) {
  static const std::regex kWord("[0-9][0-9,]*\\.?[0-9]*(e[-+][0-9]+)?|[A-Za-z_][^ ]*|[^ ]");
  std::vector<std::string> words;
  for (std::sregex_iterator it(line.begin(), line.end(), kWord), end; it != end; ++it) {
    std::string word = it->str();
    while (word.size() > 1 && word.back() == ',') word.pop_back();
    words.push_back(std::move(word));
  }
  return words;
}

bool is_rule(const std::string& line) {
  return !line.empty() && line.find_first_not_of("- ") == std::string::npos;
}

bool lines_agree(const std::string& expected, const std::string& actual) {
  if (is_rule(expected) && is_rule(actual)) return true;
  const auto cut = expected.find(kAnything);
  const auto a = words_of(expected.substr(0, cut)), b = words_of(actual);
  if (cut == std::string::npos ? a.size() != b.size() : a.size() > b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = number_of(a[i]), y = number_of(b[i]);
    if (x && y ? !numbers_agree(*x, *y) : a[i] != b[i]) return false;
  }
  return true;
}

}  // namespace

std::vector<PrintedCommand> printed_commands(const std::filesystem::path& page) {
  std::ifstream file(page);
  const auto lines = lines_of_text(file);
  std::vector<PrintedCommand> commands;
  bool takes_output = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].starts_with(kIndent)) {
      // A blank line may stand between the parts of an output.
      if (!lines[i].empty()) takes_output = false;
      continue;
    }
    std::string line = lines[i].substr(kIndent.size());
    const bool prompted = line.starts_with(kPrompt);
    if (prompted) line.erase(0, kPrompt.size());
    if (!prompted && takes_output) {
      commands.back().output.push_back(line);
      continue;
    }
    if (!is_shell_line(line)) continue;
    PrintedCommand& command = commands.emplace_back();
    command.line = i + 1;
    command.text = line;
    while (line.ends_with('\\') && i + 1 < lines.size()) {
      line = lines[++i];
      command.text += '\n' + line;
    }
    takes_output = prompted;
  }
  return commands;
}

std::string first_difference(const std::vector<std::string>& expected, const std::string& actual) {
  std::istringstream text(actual);
  std::vector<std::string> lines;
  for (const std::string& line : lines_of_text(text))
    if (line.find_first_not_of(' ') != std::string::npos) lines.push_back(line);
  std::size_t at = 0;
  bool anywhere = false;
  for (const std::string& line : expected) {
    if (line == kAnything) {
      anywhere = true;
      continue;
    }
    const auto from = lines.begin() + static_cast<std::ptrdiff_t>(at);
    const auto found = anywhere ? std::find_if(from, lines.end(),
                                               [&](const auto& l) { return lines_agree(line, l); })
                                : from;
    if (found == lines.end() || !lines_agree(line, *found))
      return "expected '" + line + "', found '" + (found == lines.end() ? "" : *found) + "'";
    at = static_cast<std::size_t>(found - lines.begin()) + 1;
    anywhere = false;
  }
  return "";
}

}  // namespace espquant::test
