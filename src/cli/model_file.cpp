#include "cli/model_file.h"

#include <fmt/core.h>

#include <cstdio>

namespace espquant::cli {

espdl::ReadOptions ModelFile::read_options() const {
  espdl::ReadOptions options;
  options.name = name;
  if (!key.empty()) options.key = espdl::parse_key(key);
  return options;
}

espdl::Model ModelFile::load() const { return espdl::read_model_file(path, read_options()); }

const Target& ModelFile::target_for(const espdl::Model& model) const {
  return target.empty() ? sim::target_of(model) : find_target(target);
}

void add_model_file(CLI::App& command, ModelFile& file) {
  command.add_option("FILE", file.path, "The model")->required();
  command
      .add_option("--key", file.key, "AES-128 key of an encrypted .espdl, 32 hexadecimal digits")
      ->type_name("HEX");
  command.add_option("--model", file.name, "Which model of a package, by name")->type_name("NAME");
}

void add_target(CLI::App& command, ModelFile& file) {
  command
      .add_option("--target", file.target,
                  "Chip to compute as, e.g. esp32s3 (default: the one the file was made for)")
      ->type_name("CHIP");
}

void add_simulation(CLI::App& command, sim::Options& options) {
  command
      .add_option_function<std::string>(
          "--kernels",
          [&options](const std::string& kind) {
            options.kernels =
                kind == "fast" ? sim::KernelChoice::Fast : sim::KernelChoice::Reference;
          },
          "fast (default), or reference: plain loops that follow the rules one by one")
      ->check(CLI::IsMember({"fast", "reference"}))
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

}  // namespace espquant::cli
