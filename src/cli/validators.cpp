#include "cli/validators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace espquant::cli {
namespace {

/// The whole of `text`, or false.
template <typename T>
bool read_number(const std::string& text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  return {[least, most](std::string& text) -> std::string {
            std::int64_t number = 0;
            if (read_number(text, number) && number >= least && number <= most) return {};
            return most == kNoLimit
                       ? fmt::format("'{}' is no whole number from {} on", text, least)
                       : fmt::format("'{}' is no whole number from {} to {}", text, least, most);
          },
          ""};
}

CLI::Validator number_from(double least) {
  return {[least](std::string& text) -> std::string {
            double number = 0;
            if (read_number(text, number) && std::isfinite(number) && number >= least) return {};
            return fmt::format("'{}' is no number from {} on", text, least);
          },
          ""};
}

CLI::Validator one_of(std::vector<std::string> words) {
  return {[words = std::move(words)](std::string& text) -> std::string {
            if (std::find(words.begin(), words.end(), text) != words.end()) return {};
            const std::string near = nearest_name(text, words);
            return fmt::format("'{}' is none of {}{}", text, fmt::join(words, ", "),
                               near.empty() ? "" : fmt::format(". Did you mean '{}'?", near));
          },
          ""};
}

}  // namespace espquant::cli
