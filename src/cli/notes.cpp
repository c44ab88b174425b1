#include "cli/notes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace espquant::cli {
namespace {

bool notes_are_silent = false;
std::vector<std::string> waiting_notes;

void write_note(std::string_view text) { fmt::print(stderr, "espquant: note: {}\n", text); }

}  // namespace

void print_note(std::string_view text) {
  if (notes_are_silent) return;
  if (isatty(STDERR_FILENO) == 1)
    write_note(text);
  else
    waiting_notes.emplace_back(text);
}

void print_waiting_notes() {
  for (const std::string& text : std::exchange(waiting_notes, {})) write_note(text);
}

void print_notes(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) print_note(text);
}

void print_warning(std::string_view text) { fmt::print(stderr, "espquant: warning: {}\n", text); }

void print_warnings(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) print_warning(text);
}

void silence_notes() { notes_are_silent = true; }

}  // namespace espquant::cli
