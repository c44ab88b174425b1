#pragma once

#include <fmt/format.h>

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
/// A word of a command line to type: quoted where the shell would read it otherwise.
std::string shell_word(const std::string& word);
/// --quiet.
void silence_notes();

/// "espquant: warning: ...", whatever --quiet says.
void print_warning(std::string_view text);
void print_warnings(const std::vector<std::string>& texts);

/// All that there is to say of what `made`, of strategy::quantize_model() or compare_recipes(),
/// came from and contains, warnings aside.
template <typename Made>
std::vector<std::string> notes_of(const Made& made) {
  std::vector<std::string> notes;
  for (const auto& input : made.unread_inputs)
    notes.push_back(fmt::format("no node reads the input '{}': the file is without it", input));
  notes.insert(notes.end(), made.notes.begin(), made.notes.end());
  for (const auto& fault : made.faults)
    notes.push_back(fmt::format("node '{}' meets the runtime's fault '{}' (docs/runtime-faults.md)",
                                fault.node, fault.name));
  return notes;
}

}  // namespace espquant::cli
