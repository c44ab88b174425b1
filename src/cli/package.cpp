#include "job/package.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "cli/validators.h"
#include "cli/written_files.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct ListCommand {
  fs::path file;
  std::string key;
  bool json = false;
};

void print_table(const job::PackageFacts& package) {
  using enum report::Table::Align;
  report::Table table({{"index", Right},
                       {"model", Left},
                       {"container", Left},
                       {"bytes", Right},
                       {"nodes", Right},
                       {"target", Left}});
  for (std::size_t i = 0; i < package.models.size(); ++i) {
    const job::PackageFacts::Model& model = package.models[i];
    table.add_row({fmt::format("{}", i), model.name,
                   model.encrypted ? model.container + ", encrypted" : model.container,
                   report::with_separators(static_cast<std::int64_t>(model.bytes)),
                   model.nodes ? fmt::format("{}", *model.nodes) : "?",
                   model.nodes ? model.target : "?"});
  }
  fmt::print("PDL{} package{}, models {}\n\n{}", package.edition,
             package.version.empty() ? "" : fmt::format(", version {}", package.version),
             package.models.size(), table.to_string());
}

void list(const ListCommand& command) {
  const job::PackageFacts facts = job::facts_of_package(command.file, command.key);
  if (!command.json) return print_table(facts);
  fmt::print("{}", report::json_text(job::json_of(facts, command.file)));
}

struct ExtractCommand {
  fs::path file, out;
  std::vector<std::string> names;
  bool json = false;
};

void extract(const ExtractCommand& command, const Context& context) {
  const std::vector<fs::path> written =
      job::extract_models(command.file, command.names, command.out);
  if (command.json) return print_files_json(written);
  if (context.quiet) return;
  for (const auto& path : written) fmt::print("Wrote {}\n", path.string());
}

struct PackCommand {
  job::PackOptions options;
  bool json = false;
};

void pack(const PackCommand& command, const Context& context) {
  const job::Packed packed = job::pack_models(command.options, print_note);
  const fs::path& out = command.options.out;
  if (command.json) return print_files_json(packed.files);
  if (context.quiet) return;
  fmt::print("{}: PDL{} package, models {}, {}\n", out.string(), command.options.edition,
             packed.models, report::human_bytes(packed.bytes));
  for (const fs::path& file : packed.files)
    if (file != out) fmt::print("Wrote {}\n", file.string());
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
  sub.add_option("FILE", command->options.files,
                 "The models, in this order; each is named as its file")
      ->required();
  sub.add_option("--out,-o", command->options.out, "The package")->required()->type_name("FILE");
  sub.add_option_function<std::string>(
         "--format",
         [command = command.get()](const std::string& format) {
           command->options.edition = format.back() - '0';
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
  sub.add_option("--package-version", command->options.version,
                 "A version of at most 15 characters that PDL3 carries")
      ->type_name("TEXT");
  add_compile_request_flag(sub, command->options.compile_request);
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
