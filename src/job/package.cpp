#include "job/package.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>

#include "base/file.h"
#include "espdl/container.h"
#include "espdl/package.h"
#include "job/model_file.h"
#include "report/compile_request.h"
#include "sim/program.h"

namespace espquant::job {
namespace {

namespace fs = std::filesystem;

PackageFacts::Model facts_of_entry(const espdl::PackageEntry& entry,
                                   const std::optional<espdl::Key>& key) try {
  const espdl::Header header = espdl::parse_header(entry.file);
  PackageFacts::Model facts{
      entry.name,       fmt::format("EDL{}", static_cast<int>(header.edition)),
      header.encrypted, entry.file.size(),
      std::nullopt,     ""};
  if (header.encrypted && !key) return facts;
  const espdl::Model model = espdl::read_model(entry.file, {.key = key});
  facts.nodes = model.nodes.size();
  facts.target = sim::target_of(model).name;
  return facts;
} catch (Error& error) {
  throw error.node(entry.name);
}

/// A name that cannot leave its folder, whatever the package calls the model: letters, digits and a
/// few signs stay, the rest becomes '_'.
std::string file_name_of(const std::string& name) {
  constexpr std::size_t kLongest = 200;
  constexpr std::string_view kExtension = ".espdl", kSigns = "._-+ ()";
  std::string safe;
  for (const char c : name.substr(0, kLongest)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    safe += letter || kSigns.find(c) != kSigns.npos ? c : '_';
  }
  if (safe.empty() || safe[0] == '.' || safe[0] == ' ') safe.insert(0, 1, '_');
  if (!safe.ends_with(kExtension)) safe += kExtension;
  return safe;
}

fs::path free_path(const fs::path& folder, const std::string& name, std::set<std::string>& taken) {
  const std::string file = file_name_of(name);
  if (!taken.insert(file).second)
    throw Error(ErrorCode::BadData,
                fmt::format("two models would be written to {}", (folder / file).string()))
        .remedy("Extract them into different folders, one at a time with --model");
  if (fs::exists(folder / file))
    throw Error(ErrorCode::Io, "it exists already")
        .file((folder / file).string())
        .remedy("Choose another folder, or remove it");
  return folder / file;
}

/// The union of what the models need. Nothing where one is encrypted: its nodes are not known here.
std::optional<std::string> compile_request_of(const espdl::Package& package) {
  report::CompileRequest request;
  std::vector<std::string> names;
  for (const auto& entry : package.entries) {
    if (espdl::parse_header(entry.file).encrypted) return std::nullopt;
    const auto model = espdl::read_model(entry.file);
    const Target& target = sim::target_of(model);
    request.add(report::compile_request(model, target));
    names.push_back(fmt::format("{} ({})", entry.name, target.name));
  }
  return report::to_yaml(request, fmt::format("{}", fmt::join(names, ", ")));
}

/// The model of a file, without what may follow it. What is not encrypted is sound.
std::span<const std::byte> model_in(const fs::path& path, std::span<const std::byte> bytes) try {
  if (espdl::is_package(bytes))
    throw Error(ErrorCode::Usage, "a package, expected a single model")
        .remedy("Extract its models first");
  const auto header = espdl::parse_header(bytes);
  if (!header.encrypted) espdl::read_model(bytes);
  return bytes.first(header.file_size());
} catch (Error& error) {
  throw error.file(path.string());
}

}  // namespace

PackageFacts facts_of_package(const fs::path& file, const std::string& key) {
  const auto bytes = read_file(file);
  try {
    const auto package = espdl::open_package(bytes);
    PackageFacts facts{static_cast<int>(package.edition), package.version, {}};
    std::optional<espdl::Key> parsed;
    if (!key.empty()) parsed = read_key(key);
    for (const auto& entry : package.entries) facts.models.push_back(facts_of_entry(entry, parsed));
    return facts;
  } catch (Error& error) {
    throw error.file(file.string());
  }
}

nlohmann::ordered_json json_of(const PackageFacts& facts, const fs::path& file) {
  nlohmann::ordered_json json{{"file", file.string()},
                              {"format", fmt::format("PDL{}", facts.edition)},
                              {"version", facts.version}};
  json["models"] = nlohmann::ordered_json::array();
  for (const PackageFacts::Model& model : facts.models) {
    nlohmann::ordered_json one{{"name", model.name},
                               {"container", model.container},
                               {"encrypted", model.encrypted},
                               {"bytes", model.bytes}};
    if (model.nodes) {
      one["nodes"] = *model.nodes;
      one["target"] = model.target;
    }
    json["models"].push_back(std::move(one));
  }
  return json;
}

std::vector<fs::path> extract_models(const fs::path& file, const std::vector<std::string>& names,
                                     const fs::path& folder) {
  const auto bytes = read_file(file);
  std::vector<espdl::PackageEntry> chosen;
  try {
    const auto package = espdl::open_package(bytes);
    for (const auto& name : names) chosen.push_back(package.find(name));
    if (names.empty()) chosen = package.entries;
  } catch (Error& error) {
    throw error.file(file.string());
  }
  OutputFiles output;
  std::set<std::string> taken;
  std::vector<fs::path> written;
  for (const auto& entry : chosen) {
    written.push_back(free_path(folder, entry.name, taken));
    output.add(written.back(), entry.file);
  }
  output.commit();
  return written;
}

Packed pack_models(const PackOptions& options, const Tell& tell) {
  std::vector<std::vector<std::byte>> contents;
  espdl::Package package;
  package.edition = static_cast<espdl::PackageEdition>(options.edition);
  package.version = options.version;
  if (!options.version.empty() && package.edition != espdl::PackageEdition::Pdl3)
    throw Error(ErrorCode::Usage, "only PDL3 packages have a version").remedy("Use --format pdl3");
  for (const auto& path : options.files) {
    std::error_code ignored;
    if (fs::equivalent(path, options.out, ignored))
      throw Error(ErrorCode::Usage, "the output would replace one of the models")
          .file(path.string())
          .remedy("Give --out another name");
    contents.push_back(read_file(path));
    package.entries.push_back({path.filename().string(), model_in(path, contents.back())});
  }
  const auto bytes = espdl::pack(package);
  OutputFiles output;
  output.add(options.out, bytes);
  Packed packed{{options.out}, package.entries.size(), bytes.size()};
  if (options.compile_request) {
    fs::path request = options.out;
    request.replace_extension(".compile_req.yml");
    if (const auto yaml = compile_request_of(package)) {
      output.add(request, *yaml);
      packed.files.push_back(request);
    } else {
      tell(fmt::format("no {}: what encrypted models need is not known",
                       request.filename().string()));
    }
  }
  output.commit();
  return packed;
}

}  // namespace espquant::job
