#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cost/memory_plan.h"
#include "espdl/container.h"
#include "espdl/model.h"
#include "espdl/reader.h"
#include "sim/program.h"

namespace espquant::cli {

/// Which model a command works on: the options that all commands on .espdl files share.
struct ModelFile {
  std::filesystem::path path;
  /// For an encrypted file: what read_key() takes, else empty.
  std::string key;
  /// Of a package.
  std::string name;
  /// Empty: what the file was made for.
  std::string target, espdl;

  espdl::ReadOptions read_options() const;
  espdl::Model load() const;
  const Target& target_for(const espdl::Model& model) const;
  /// The same, to compute as. Throws as sim::require_packed_for.
  const Target& target_to_run(const espdl::Model& model) const;
};

/// The key that is written as 32 hexadecimal digits, or that lies in the file of that name: as such
/// digits or as 16 bytes. Throws Error(Usage), Error(Io).
espdl::Key read_key(const std::string& digits_or_file);

/// ONNX, of a command that quantizes.
void add_network(CLI::App& command, std::filesystem::path& path);
/// --target of a command that quantizes; `chooser` may say another.
void add_new_target(CLI::App& command, std::string& target, const std::string& chooser);
/// --out, -o.
void add_out_folder(CLI::App& command, std::filesystem::path& folder);
/// --key.
CLI::Option* add_key(CLI::App& command, std::string& key);
/// FILE, --key and --model.
void add_model_file(CLI::App& command, ModelFile& file);
/// --espdl.
void add_release(CLI::App& command, std::string& version, const char* otherwise);
/// --target and --espdl.
void add_target(CLI::App& command, ModelFile& file);
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
