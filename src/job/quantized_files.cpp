#include "job/quantized_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "espdl/info.h"
#include "job/port_metadata.h"
#include "report/compile_request.h"
#include "report/config_json.h"

namespace espquant::job {

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

fs::path stem_of(const fs::path& folder, const std::string& name, const std::string& recipe) {
  const std::string base = fmt::format("{}_{}", name, recipe);
  return folder / base / base;
}

std::vector<fs::path> add_quantized(OutputFiles& output, const fs::path& stem,
                                    const espdl::Model& model, const Target& target,
                                    const strategy::SoundFile& file,
                                    const data::Preprocess& preprocess, bool compile_request) {
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
    output.add(files.back(),
               report::to_yaml(report::compile_request(model, target),
                               fmt::format("{}.espdl, {}", stem.filename().string(), target.name)));
  }
  return files;
}

void add_banks(OutputFiles& output, const espdl::Banks& banks, const espdl::Model& model,
               const Target& target, std::span<const std::byte> espdl,
               std::vector<fs::path>& files) {
  if (banks.is_empty()) return;
  files.push_back(fs::path(files.front()).replace_extension(".banks"));
  output.add(files.back(), espdl::write_banks(banks, model, espdl, target));
}

}  // namespace espquant::job
