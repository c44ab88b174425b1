#include "espdl/package.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "cli/validators.h"
#include "cli/written_files.h"
#include "report/compile_request.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

/// What there is to say of a model in a package.
struct EntryFacts {
  const espdl::PackageEntry& entry;
  espdl::Header header;
  /// Absent when it is encrypted and there is no key.
  std::optional<espdl::Model> model;
};

std::vector<EntryFacts> package_facts_of(const espdl::Package& package, const std::string& key) {
  std::optional<espdl::Key> parsed;
  if (!key.empty()) parsed = job::read_key(key);
  std::vector<EntryFacts> all;
  for (const auto& entry : package.entries) {
    EntryFacts facts{entry, espdl::parse_header(entry.file), std::nullopt};
    try {
      if (!facts.header.encrypted || parsed)
        facts.model = espdl::read_model(entry.file, {.key = parsed});
    } catch (Error& error) {
      throw error.node(entry.name);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

struct ListCommand {
  fs::path file;
  std::string key;
  bool json = false;
};

std::string container_of(const espdl::Header& header) {
  return fmt::format("EDL{}{}", static_cast<int>(header.edition),
                     header.encrypted ? ", encrypted" : "");
}

void print_table(const espdl::Package& package, const std::vector<EntryFacts>& all) {
  using enum report::Table::Align;
  report::Table table({{"index", Right},
                       {"model", Left},
                       {"container", Left},
                       {"bytes", Right},
                       {"nodes", Right},
                       {"target", Left}});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [entry, header, model] = all[i];
    table.add_row({fmt::format("{}", i), entry.name, container_of(header),
                   report::with_separators(static_cast<std::int64_t>(entry.file.size())),
                   model ? fmt::format("{}", model->nodes.size()) : "?",
                   model ? std::string(sim::target_of(*model).name) : "?"});
  }
  fmt::print("PDL{} package{}, models {}\n\n{}", static_cast<int>(package.edition),
             package.version.empty() ? "" : fmt::format(", version {}", package.version),
             all.size(), table.to_string());
}

void print_json(const ListCommand& command, const espdl::Package& package,
                const std::vector<EntryFacts>& all) {
  nlohmann::ordered_json json{{"file", command.file.string()},
                              {"format", fmt::format("PDL{}", static_cast<int>(package.edition))},
                              {"version", package.version}};
  json["models"] = nlohmann::ordered_json::array();
  for (const auto& [entry, header, model] : all) {
    nlohmann::ordered_json one{
        {"name", entry.name},
        {"container", fmt::format("EDL{}", static_cast<int>(header.edition))},
        {"encrypted", header.encrypted},
        {"bytes", entry.file.size()}};
    if (model) {
      one["nodes"] = model->nodes.size();
      one["target"] = sim::target_of(*model).name;
    }
    json["models"].push_back(std::move(one));
  }
  using Handler = nlohmann::ordered_json::error_handler_t;
  fmt::print("{}\n", json.dump(2, ' ', false, Handler::replace));
}

void list(const ListCommand& command) {
  const auto bytes = read_file(command.file);
  try {
    const auto package = espdl::open_package(bytes);
    const auto all = package_facts_of(package, command.key);
    if (command.json)
      print_json(command, package, all);
    else
      print_table(package, all);
  } catch (Error& error) {
    throw error.file(command.file.string());
  }
}

struct ExtractCommand {
  fs::path file, out;
  std::vector<std::string> names;
  bool json = false;
};

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

void extract(const ExtractCommand& command, const Context& context) {
  const auto bytes = read_file(command.file);
  std::vector<espdl::PackageEntry> chosen;
  try {
    const auto package = espdl::open_package(bytes);
    for (const auto& name : command.names) chosen.push_back(package.find(name));
    if (command.names.empty()) chosen = package.entries;
  } catch (Error& error) {
    throw error.file(command.file.string());
  }
  OutputFiles output;
  std::set<std::string> taken;
  std::vector<fs::path> written;
  for (const auto& entry : chosen) {
    written.push_back(free_path(command.out, entry.name, taken));
    output.add(written.back(), entry.file);
  }
  output.commit();
  if (command.json) {
    print_files_json(written);
    return;
  }
  if (context.quiet) return;
  for (const auto& path : written) fmt::print("Wrote {}\n", path.string());
}

struct PackCommand {
  std::vector<fs::path> files;
  fs::path out;
  int edition = 3;
  std::string version;
  bool compile_request = true;
  bool json = false;
};

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

void pack(const PackCommand& command, const Context& context) {
  std::vector<std::vector<std::byte>> contents;
  espdl::Package package;
  package.edition = static_cast<espdl::PackageEdition>(command.edition);
  package.version = command.version;
  if (!command.version.empty() && package.edition != espdl::PackageEdition::Pdl3)
    throw Error(ErrorCode::Usage, "only PDL3 packages have a version").remedy("Use --format pdl3");
  for (const auto& path : command.files) {
    std::error_code ignored;
    if (fs::equivalent(path, command.out, ignored))
      throw Error(ErrorCode::Usage, "the output would replace one of the models")
          .file(path.string())
          .remedy("Give --out another name");
    contents.push_back(read_file(path));
    package.entries.push_back({path.filename().string(), model_in(path, contents.back())});
  }
  const auto bytes = espdl::pack(package);
  OutputFiles output;
  output.add(command.out, bytes);
  fs::path request = command.out;
  request.replace_extension(".compile_req.yml");
  const auto yaml =
      command.compile_request ? compile_request_of(package) : std::optional<std::string>();
  if (yaml) output.add(request, *yaml);
  output.commit();
  if (command.compile_request && !yaml)
    print_note(
        fmt::format("no {}: what encrypted models need is not known", request.filename().string()));
  if (command.json) {
    print_files_json(yaml ? std::vector{command.out, request} : std::vector{command.out});
    return;
  }
  if (context.quiet) return;
  fmt::print("{}: PDL{} package, models {}, {}\n", command.out.string(), command.edition,
             package.entries.size(), report::human_bytes(bytes.size()));
  if (yaml) fmt::print("Wrote {}\n", request.string());
}

void add_list(CLI::App& package) {
  auto& sub = *package.add_subcommand("list", "Show the models of a package");
  const auto command = std::make_shared<ListCommand>();
  sub.add_option("FILE", command->file, "The package")->required()->type_name("FILE");
  add_key(sub, command->key);
  sub.add_flag("--json", command->json, "Print JSON");
  sub.callback([command] { list(*command); });
}

void add_extract(CLI::App& package, Context& context) {
  auto& sub = *package.add_subcommand("extract", "Write the models of a package into a folder");
  const auto command = std::make_shared<ExtractCommand>();
  sub.add_option("FILE", command->file, "The package")->required()->type_name("FILE");
  sub.add_option("--out,-o", command->out, "The folder; it is made where there is none")
      ->required()
      ->type_name("FOLDER");
  sub.add_option("--model", command->names, "Only this model; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME");
  sub.add_flag("--json", command->json, "Print JSON: what was written");
  sub.callback([command, &context] { extract(*command, context); });
}

void add_pack(CLI::App& package, Context& context) {
  auto& sub = *package.add_subcommand("pack", "Put several .espdl files into one");
  const auto command = std::make_shared<PackCommand>();
  sub.add_option("FILE", command->files, "The models, in this order; each is named as its file")
      ->required();
  sub.add_option("--out,-o", command->out, "The package")->required()->type_name("FILE");
  sub.add_option_function<std::string>(
         "--format",
         [command = command.get()](const std::string& format) {
           command->edition = format.back() - '0';
         },
         "pdl3 (default: with a digest), pdl2, or pdl1 for EDL1 files")
      ->transform(CLI::Validator(
          [](std::string& format) {
            format = CLI::detail::to_lower(format);
            if (format.size() == 1) format.insert(0, "pdl");
            return one_of({"pdl1", "pdl2", "pdl3"})(format);
          },
          ""))
      ->type_name("FORMAT");
  sub.add_option("--package-version", command->version,
                 "A version of at most 15 characters that PDL3 carries")
      ->type_name("TEXT");
  add_compile_request_flag(sub, command->compile_request);
  sub.add_flag("--json", command->json, "Print JSON: what was written");
  sub.callback([command, &context] { pack(*command, context); });
}

}  // namespace

void add_package(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("package", "List, extract or make packages of several models");
  sub.require_subcommand(1);
  sub.footer(
      "Examples:\n"
      "  espquant package pack cat.espdl dog.espdl --out models.espdl\n"
      "  espquant package list models.espdl\n"
      "  espquant package extract models.espdl --model cat.espdl --out cat/\n");
  add_list(sub);
  add_extract(sub, context);
  add_pack(sub, context);
  for (CLI::App* command : sub.get_subcommands([](const CLI::App*) { return true; }))
    command->group("Commands");
}

}  // namespace espquant::cli
