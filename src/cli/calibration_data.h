#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "job/data.h"

/// The options of every command that takes data.
namespace espquant::cli {

/// --calib.
CLI::Option* add_calib(CLI::App& command, std::filesystem::path& path);
/// --data: what a command measures on.
CLI::Option* add_data(CLI::App& command, std::filesystem::path& path, const std::string& text);
/// --count: on how many samples of it. 0, and the default, is what `otherwise` says.
CLI::Option* add_count(CLI::App& command, std::int64_t& count, const std::string& otherwise);
/// --preprocess and --preprocess-file; `otherwise` says what holds without them.
void add_preprocess(CLI::App& command, job::DataOptions& options, const std::string& otherwise);

/// --classes.
void add_classes(CLI::App& command, job::DataOptions& options);

/// For the page of help of a command that has add_preprocess(): every key, its values and default.
std::string preprocess_help();

}  // namespace espquant::cli
