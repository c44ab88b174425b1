#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "cost/memory_plan.h"
#include "job/model_file.h"
#include "sim/program.h"

/// The options of every command on .espdl files, and what all of them say.
namespace espquant::cli {

/// ONNX, of a command that quantizes.
void add_network(CLI::App& command, std::filesystem::path& path);
/// --target of a command that quantizes; `chooser` may say another.
void add_new_target(CLI::App& command, std::string& target, const std::string& chooser);
/// --out, -o.
void add_out_folder(CLI::App& command, std::filesystem::path& folder);
/// --key.
CLI::Option* add_key(CLI::App& command, std::string& key);
/// FILE, --key and --model.
void add_model_file(CLI::App& command, job::ModelFile& file);
/// --espdl.
void add_release(CLI::App& command, std::string& version, const char* otherwise);
/// --target and --espdl.
void add_target(CLI::App& command, job::ModelFile& file);
/// --banks.
void add_banks(CLI::App& command, job::ModelFile& file);
/// --kernels and --no-saturation.
void add_simulation(CLI::App& command, sim::Options& options);

/// One line on stderr for each known fault of the runtime that the model meets.
void print_faults(const sim::Program& program);

/// One line on stderr for each tensor that the runtime's memory plan loses. `consequence` says what
/// that means for the command.
void print_overwrites(std::span<const cost::Overwrite> overwrites, std::string_view consequence);

/// Of a command whose result is computed in memory as the runtime plans it.
inline constexpr std::string_view kComputedAsPlanned = "the result is computed with what is left";

}  // namespace espquant::cli
