#include "cli/validators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/quantities.h"
#include "base/text.h"

namespace espquant::cli {
namespace {

/// The whole of `text`, or false.
bool read_whole_number(const std::string& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  return {[least, most](std::string& text) -> std::string {
            std::int64_t number = 0;
            if (read_whole_number(text, number) && number >= least && number <= most) return {};
            return most == kNoLimit
                       ? fmt::format("'{}' is no whole number from {} on", text, least)
                       : fmt::format("'{}' is no whole number from {} to {}", text, least, most);
          },
          ""};
}

CLI::Validator number_from(double least) {
  return {[least](std::string& text) -> std::string {
            const auto number = parse_number(text);
            if (number && *number >= least) return {};
            return fmt::format("'{}' is no number from {} on", text, least);
          },
          ""};
}

CLI::Validator internal_ram_size() {
  return {[](std::string& text) -> std::string {
            constexpr double kMost = 16.0 * 1024 * 1024, kBlock = 16;
            const auto bytes = parse_bytes(text);
            if (bytes && *bytes <= kMost && std::fmod(*bytes, kBlock) == 0) return {};
            return fmt::format(
                "'{}' is no size of internal RAM: write 65536 or 64K, a multiple of 16", text);
          },
          ""};
}

CLI::Validator span_of_time() {
  return {[](std::string& text) -> std::string {
            if (parse_seconds(text)) return {};
            return fmt::format("'{}' is no span of time: write 90s, 5m or 2h", text);
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
