#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace espquant::cli {

/// A line on stderr: "espquant: note: ..."; nothing behind silence_notes(). At once on a terminal,
/// where somebody waits; else when the command has done its work: a refusal is a single line.
void print_note(std::string_view text);
void print_notes(const std::vector<std::string>& texts);
/// Those that wait.
void print_waiting_notes();
/// --quiet.
void silence_notes();

/// "espquant: warning: ...", whatever --quiet says.
void print_warning(std::string_view text);
void print_warnings(const std::vector<std::string>& texts);

}  // namespace espquant::cli
