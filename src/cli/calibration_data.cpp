#include "cli/calibration_data.h"

#include <fmt/format.h>

#include "cli/help.h"
#include "cli/validators.h"
#include "data/preprocess.h"

namespace espquant::cli {

std::string preprocess_help() {
  std::string text = "Keys of --preprocess, in the order in which they act:\n";
  for (const data::SettingHelp& key : data::setting_help())
    text += in_two_columns(std::string(key.name), fmt::format("{}: {} (default: {})", key.values,
                                                              key.meaning, key.otherwise));
  return text + '\n';
}

CLI::Option* add_calib(CLI::App& command, std::filesystem::path& path) {
  return command.add_option("--calib", path, "Calibration data: .npz, .npy, or a folder of images")
      ->type_name("DATA");
}

CLI::Option* add_data(CLI::App& command, std::filesystem::path& path, const std::string& text) {
  return command.add_option("--data", path, text)->type_name("DATA");
}

CLI::Option* add_count(CLI::App& command, std::int64_t& count, const std::string& otherwise) {
  return command
      .add_option("--count", count,
                  fmt::format("Measure on at most this many samples, evenly spread (default: {})",
                              otherwise))
      ->check(whole_number(1))
      ->type_name("N");
}

void add_preprocess(CLI::App& command, job::DataOptions& options, const std::string& otherwise) {
  command
      .add_option("--preprocess", options.preprocess,
                  fmt::format("How pictures are prepared, by the keys below; may be repeated "
                              "(default: {})",
                              otherwise))
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command
      .add_option("--preprocess-file", options.preprocess_file,
                  "The same keys in a TOML file; --preprocess overrides it")
      ->type_name("FILE");
}

void add_classes(CLI::App& command, job::DataOptions& options) {
  command
      .add_option("--classes", options.classes,
                  "The names of the classes, one per line, in the order of the network's outputs: "
                  "gives class folders their numbers")
      ->type_name("FILE");
}

}  // namespace espquant::cli
