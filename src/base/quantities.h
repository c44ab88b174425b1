#pragma once

#include <optional>
#include <string_view>

/// Amounts as people type them. Each is nothing where the text, or a part of it, is something else;
/// whoever asks knows what to say then.
namespace espquant {

/// "20", "-1.5", "2e3": a number. Finite.
std::optional<double> parse_number(std::string_view text);

/// "300000", "300K", "1.5m": bytes, or 1024 and 1024 * 1024 of them. Finite, 0 or more.
std::optional<double> parse_bytes(std::string_view text);

/// "90", "90s", "5m", "1.5h": seconds. Finite, above 0.
std::optional<double> parse_seconds(std::string_view text);

/// "60%", "-40%": the share, 0.6 or -0.4. Finite.
std::optional<double> parse_percent(std::string_view text);

}  // namespace espquant
