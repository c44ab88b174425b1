#include "base/quantities.h"

#include <charconv>
#include <cmath>

namespace espquant {
namespace {

/// In the unit whose letter ends the text, which goes; 1 where none does.
template <typename UnitOf>
std::optional<double> parse_in_units(std::string_view text, const UnitOf& unit_of) {
  double unit = text.empty() ? 0 : unit_of(text.back());
  if (unit == 0)
    unit = 1;
  else
    text.remove_suffix(1);
  const auto number = parse_number(text);
  if (!number || !std::isfinite(*number * unit)) return std::nullopt;
  return *number * unit;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
    return std::nullopt;
  return number;
}

std::optional<double> parse_bytes(std::string_view text) {
  const auto bytes = parse_in_units(text, [](char letter) {
    const bool kilo = letter == 'K' || letter == 'k', mega = letter == 'M' || letter == 'm';
    return kilo ? 1024.0 : mega ? 1024.0 * 1024.0 : 0.0;
  });
  return bytes && *bytes >= 0 ? bytes : std::nullopt;
}

std::optional<double> parse_seconds(std::string_view text) {
  const auto seconds = parse_in_units(text, [](char letter) {
    return letter == 's' ? 1.0 : letter == 'm' ? 60.0 : letter == 'h' ? 3600.0 : 0.0;
  });
  return seconds && *seconds > 0 ? seconds : std::nullopt;
}

std::optional<double> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto percent = parse_number(text);
  return percent ? std::optional(*percent / 100) : std::nullopt;
}

}  // namespace espquant
