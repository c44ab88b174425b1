#pragma once

#include <filesystem>
#include <string>
#include <vector>

/// The commands that pages of the documentation print, and what they say comes out.
namespace espquant::test {

struct PrintedCommand {
  /// Of the page, counted from 1.
  std::size_t line = 0;
  /// For a shell; several lines where they were continued.
  std::string text;
  /// What stands below it, where it was printed behind a "$ ". A line "..." stands for any lines.
  std::vector<std::string> output;
};

/// The shell lines of the blocks that are indented by four and hold an espquant command, in order.
/// Synopses, with [OPTIONS] or UPPER-CASE names in them, are none.
std::vector<PrintedCommand> printed_commands(const std::filesystem::path& page);

/// "" where `actual` is what the page says; else the first line that is missing. Numbers may differ
/// by a third, or by as much as the last printed digit; blanks do not count, and "..." within a
/// line stands for anything up to its end.
std::string first_difference(const std::vector<std::string>& expected, const std::string& actual);

}  // namespace espquant::test
