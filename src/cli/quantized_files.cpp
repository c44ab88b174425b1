#include "cli/quantized_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/port_metadata.h"
#include "cli/progress.h"
#include "espdl/info.h"
#include "report/compile_request.h"
#include "report/config_json.h"

namespace espquant::cli {

namespace fs = std::filesystem;

std::vector<std::pair<std::string, std::string>> metadata_of(const data::Preprocess& preprocess,
                                                             const recipe::Recipe& recipe,
                                                             std::span<const std::string> classes) {
  std::vector<std::pair<std::string, std::string>> metadata;
  const bool takes_pictures = preprocess.width > 0;
  if (takes_pictures) metadata = data::to_settings(preprocess);
  metadata.emplace_back("espquant.strategy", recipe.name);
  if (!classes.empty())
    metadata.emplace_back(kClassesKey, fmt::format("{}", fmt::join(classes, "\n")));
  return metadata;
}

std::vector<fs::path> add_quantized(OutputFiles& output, const fs::path& dir,
                                    const std::string& name, const std::string& recipe,
                                    const espdl::Model& model, const Target& target,
                                    const strategy::SoundFile& file,
                                    const data::Preprocess& preprocess, bool compile_request) {
  const std::string base = fmt::format("{}_{}", name, recipe);
  const fs::path stem = dir / base / base;
  const auto with = [&](const char* extension) { return fs::path(stem.string() + extension); };
  output.add(with(".espdl"), file.bytes());
  output.add(with(".info"), espdl::info_text(model));
  const recipe::Recipe used =
      recipe::parse_recipe(model.metadata_value("espquant.recipe"), "espquant.recipe");
  output.add(with(".json"), report::config_json(model, target, recipe::to_json(used)));
  std::vector<fs::path> files = {with(".espdl"), with(".info"), with(".json")};
  if (preprocess.width > 0) {
    files.push_back(with(".preprocess.toml"));
    output.add(files.back(), data::to_toml(preprocess));
  }
  if (compile_request) {
    files.push_back(with(".compile_req.yml"));
    output.add(files.back(), report::to_yaml(report::compile_request(model, target),
                                             fmt::format("{}.espdl, {}", base, target.name)));
  }
  return files;
}

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
