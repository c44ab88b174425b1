#include "cli/quantized_files.h"

#include <fmt/format.h>

#include <memory>

#include "cli/progress.h"

namespace espquant::cli {

void add_name(CLI::App& command, std::string& name) {
  // The longest name of a file is 255 bytes; the recipe's and the extensions go behind this one.
  static constexpr std::size_t kLongest = 128;
  command.add_option("--name", name, "Name of the files (default: that of the model)")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            if (text.empty() || text == "." || text == ".." ||
                text.find_first_of("/\\") != std::string::npos)
              return fmt::format("'{}' is no name of a file: give the folder as --out", text);
            if (text.size() > kLongest)
              return fmt::format("the name has more than {} bytes", kLongest);
            return {};
          },
          ""))
      ->type_name("NAME");
}

void add_fit(CLI::App& command, std::optional<schedule::Goal>& goal) {
  command
      .add_option_function<std::string>(
          "--fit", [&goal](const std::string& text) { goal = schedule::parse_goal(text); },
          "Rearrange what is written as espquant optimize does, every integer staying: latency, "
          "ram=SIZE (bytes for activations), or ram=SIZE,latency")
      ->type_name("GOAL");
}

void add_compile_request_flag(CLI::App& command, bool& compile_request) {
  command.add_flag_callback(
      "--no-compile-req", [&compile_request] { compile_request = false; },
      "Do not write NAME.compile_req.yml, what an application must compile in of ESP-DL");
}

strategy::StageProgress show_stages(bool quiet) {
  return [quiet, bar = std::shared_ptr<Progress>(), shown = std::string()](
             std::string_view stage, std::int64_t done, std::int64_t total) mutable {
    if (!bar || stage != shown || (done <= 1 && total > 0)) {
      bar.reset();
      bar = std::make_shared<Progress>(stage, total, quiet);
    }
    shown = stage;
    bar->update(done);
  };
}

}  // namespace espquant::cli
