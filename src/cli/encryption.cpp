#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/written_files.h"
#include "espdl/package.h"

namespace espquant::cli {
namespace {

struct EncryptionCommand {
  std::filesystem::path in, out;
  std::string key;
  bool json = false;
};

using Change = std::vector<std::byte> (*)(std::span<const std::byte>, const espdl::Key&);

/// What goes in and comes out is a sound model.
std::vector<std::byte> change_model(std::span<const std::byte> file, const espdl::Key& key,
                                    Change change) {
  auto changed = change(file, key);
  espdl::read_model(changed, {.key = key});
  return changed;
}

/// Each model of it, under its own name.
std::vector<std::byte> change_package(std::span<const std::byte> file, const espdl::Key& key,
                                      Change change) {
  espdl::Package package = espdl::open_package(file);
  std::vector<std::vector<std::byte>> models;
  for (auto& entry : package.entries) {
    models.push_back(change_model(entry.file, key, change));
    entry.file = models.back();
  }
  return espdl::pack(package);
}

void refuse_same_file(const EncryptionCommand& command) {
  std::error_code ignored;
  if (std::filesystem::equivalent(command.in, command.out, ignored))
    throw Error(ErrorCode::Usage, "the output would replace the input")
        .file(command.out.string())
        .remedy("Give --out another name");
}

void run(const EncryptionCommand& command, Change change, const Context& context) {
  refuse_same_file(command);
  const espdl::Key key = job::read_key(command.key);
  const auto file = read_file(command.in);
  const bool packaged = espdl::is_package(file);
  std::vector<std::byte> changed;
  try {
    changed = packaged ? change_package(file, key, change) : change_model(file, key, change);
  } catch (Error& error) {
    throw error.file(command.in.string());
  }
  OutputFiles output;
  output.add(command.out, changed);
  output.commit();
  if (command.json) print_files_json({command.out});
  if (context.quiet) return;
  if (change == espdl::encrypted)
    print_note(
        fmt::format("the format starts every model at the same counter: two models "
                    "under one key give each other away{}",
                    packaged ? "; ESP-DL opens a package with one key" : ""));
  if (!command.json) fmt::print("Wrote {}\n", command.out.string());
}

void add(CLI::App& app, Context& context, const char* name, const char* description,
         Change change) {
  auto& sub = *app.add_subcommand(name, description);
  const auto command = std::make_shared<EncryptionCommand>();
  sub.add_option("FILE", command->in, "An .espdl, or a package of them")
      ->required()
      ->type_name("FILE");
  add_key(sub, command->key)->required();
  sub.add_option("--out,-o", command->out, "Where the result goes")->required()->type_name("FILE");
  sub.add_flag("--json", command->json, "Print JSON: what was written");
  sub.footer(
      fmt::format("Example:\n  espquant {} model.espdl --key key.bin --out result.espdl\n", name));
  sub.callback([command, change, &context] { run(*command, change, context); });
}

}  // namespace

void add_encryption(CLI::App& app, Context& context) {
  add(app, context, "encrypt", "Encrypt an .espdl with AES-128-CTR, as ESP-DL decrypts it",
      espdl::encrypted);
  add(app, context, "decrypt", "Turn an encrypted .espdl into a plain one", espdl::decrypted);
}

}  // namespace espquant::cli
