#include "cli/model_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <vector>

#include "cli/validators.h"

namespace espquant::cli {
namespace {

std::vector<std::string_view> names_of_targets() {
  std::vector<std::string_view> names;
  for (const Target& target : all_targets()) names.push_back(target.name);
  return names;
}

}  // namespace

CLI::Option* add_key(CLI::App& command, std::string& key) {
  return command
      .add_option("--key", key,
                  "AES-128 key of an encrypted .espdl: 32 hexadecimal digits, or a file that holds "
                  "them or the key's 16 bytes")
      ->type_name("HEX|FILE");
}

void add_banks(CLI::App& command, job::ModelFile& file) {
  command
      .add_option(
          "--banks", file.banks,
          "Banks of exponents beside the model (default: the .banks file of its name, where "
          "there is one); none: the model alone")
      ->type_name("BANKS|none");
}

void add_network(CLI::App& command, std::filesystem::path& path) {
  command.add_option("ONNX", path, "The network, .onnx")->required()->type_name("ONNX");
}

void add_new_target(CLI::App& command, std::string& target, const std::string& chooser) {
  command
      .add_option("--target", target,
                  fmt::format("Chip to quantize for: {} (default: what {} says, else esp32s3)",
                              fmt::join(names_of_targets(), ", "), chooser))
      ->type_name("CHIP");
}

void add_out_folder(CLI::App& command, std::filesystem::path& folder) {
  command.add_option("--out,-o", folder, "Folder to write into")
      ->capture_default_str()
      ->type_name("FOLDER");
}

void add_model_file(CLI::App& command, job::ModelFile& file) {
  command.add_option("FILE", file.path, "The model")->required()->type_name("FILE");
  add_key(command, file.key);
  command.add_option("--model", file.name, "Which model of a package, by name")->type_name("NAME");
}

void add_release(CLI::App& command, std::string& version, const char* otherwise) {
  command
      .add_option("--espdl", version,
                  fmt::format("Release of ESP-DL that runs on the chip, e.g. {} (default: {})",
                              newest_release().version, otherwise))
      ->type_name("VERSION");
}

void add_target(CLI::App& command, job::ModelFile& file) {
  command
      .add_option("--target", file.target,
                  "Chip to compute as, e.g. esp32s3 (default: the one the file was made for)")
      ->type_name("CHIP");
  add_release(command, file.espdl, "the one the file was made for, else the newest");
}

void add_simulation(CLI::App& command, sim::Options& options) {
  command
      .add_option_function<std::string>(
          "--kernels",
          [&options](const std::string& kind) {
            options.kernels =
                kind == "reference" ? sim::KernelChoice::Reference : sim::KernelChoice::Fast;
            options.p4_portable_kernels = kind == "portable";
          },
          "fast (default); reference: plain loops that follow the rules one by one; portable: "
          "those of ESP-DL on a PC, where test values for the ESP32-P4 may have been recorded")
      ->check(one_of({"fast", "reference", "portable"}))
      ->type_name("KIND");
  command.add_flag_callback(
      "--no-saturation", [&options] { options.saturation = false; },
      "Wide accumulators in place of the ESP32-S3's saturating lanes, for comparison only");
}

void print_faults(const sim::Program& program) {
  for (const auto& fault : program.faults())
    fmt::print(stderr,
               "espquant: warning: node '{}': the runtime has a known fault here: {} (see "
               "docs/runtime-faults.md)\n",
               fault.node, fault.name);
}

void print_overwrites(std::span<const cost::Overwrite> overwrites, std::string_view consequence) {
  for (const auto& overwrite : overwrites)
    fmt::print(stderr,
               "espquant: warning: node '{}': the runtime's memory plan lets it write over '{}', "
               "which is still needed: {} (see docs/memory-and-speed.md)\n",
               overwrite.node, overwrite.tensor, consequence);
}

}  // namespace espquant::cli
