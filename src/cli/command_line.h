#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"

/// What users type, before and after CLI11 has read it.
namespace espquant::cli {

using Words = std::vector<std::string>;

/// The words of a command line as the commands of `app` know them: spellings of earlier versions
/// replaced, `help COMMAND` as `COMMAND --help`, and the KEY=VALUE words behind one --preprocess or
/// --set each behind its own, so that a file may follow them. Throws Error(Usage) with the nearest
/// name for a command that does not exist.
Words as_spelled_today(const CLI::App& app, Words words);

/// What CLI11 could not read, in the program's words: the unknown option with the nearest one, and
/// the page of help that lists them.
Error explained(const CLI::App& app, const Words& words, const CLI::ParseError& error);

}  // namespace espquant::cli
