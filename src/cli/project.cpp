#include "deploy/project.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>

#include "base/quantities.h"
#include "base/text.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/validators.h"
#include "deploy/chip_facts.h"
#include "deploy/project_folder.h"
#include "job/project.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct ProjectCommand {
  job::ProjectOptions options;
  fs::path folder;
  bool force = false;
};

constexpr std::int64_t kUsualSamples = 4;

void run_project(const ProjectCommand& command, const Context& context) {
  const deploy::ProjectRequest request = job::project_request(command.options, print_note);
  const deploy::Project project = deploy::make_project(request);
  deploy::write_project(command.folder, project, command.force);
  if (!project.fits_ram) print_warning(project.ram_verdict);
  if (context.quiet) return;
  if (project.fits_ram) fmt::print("{}\n", project.ram_verdict);
  fmt::print("Wrote {} files to {}, for {} MB of flash\n", project.files.size(),
             command.folder.string(), project.flash_megabytes);
  fmt::print("Next: cd {} && idf.py set-target {} && idf.py flash monitor\n",
             shell_word(command.folder.string()), request.target->name);
}

}  // namespace

void add_project(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("project", "Make an ESP-IDF project that runs an .espdl");
  const auto command = std::make_shared<ProjectCommand>();
  job::ProjectOptions& options = command->options;
  add_model_file(sub, options.file);
  sub.add_option("--out,-o", command->folder, "The folder of the project")
      ->required()
      ->check(CLI::Validator(
          [](std::string& text) { return text.empty() ? "the name is empty" : std::string(); }, ""))
      ->type_name("DIR");
  static const std::map<std::string, deploy::App> kApps = {{"selftest", deploy::App::SelfTest},
                                                           {"camera", deploy::App::Camera},
                                                           {"serial", deploy::App::Serial},
                                                           {"minimal", deploy::App::Minimal}};
  sub.add_option_function<std::string>(
         "--app", [&options](const std::string& name) { options.app = kApps.at(name); },
         "What the board does: hold its outputs against the simulator's (selftest, default), "
         "tell "
         "what a camera sees (camera), answer espquant device (serial), or run the model once "
         "(minimal)")
      ->check(one_of({"selftest", "camera", "serial", "minimal"}))
      ->type_name("APP");
  static const std::map<std::string, deploy::Storage> kStorages = {
      {"rodata", deploy::Storage::Rodata},
      {"partition", deploy::Storage::Partition},
      {"sdcard", deploy::Storage::SdCard}};
  sub.add_option_function<std::string>(
         "--storage", [&options](const std::string& name) { options.storage = kStorages.at(name); },
         "Where the model lies: in the application (rodata, default), in a partition of its own, "
         "or on a card")
      ->check(one_of({"rodata", "partition", "sdcard"}))
      ->type_name("WHERE");
  sub.add_option("--samples", options.data.path,
                 "Data that the self-test runs beside the test values of the file")
      ->type_name("DATA");
  options.data.count = kUsualSamples;
  add_count(sub, options.data.count, "4");
  add_preprocess(sub, options.data, "as the .espdl says");
  add_classes(sub, options.data);
  add_target(sub, options.file);
  add_banks(sub, options.file);
  auto* no_psram = sub.add_flag("--no-psram", options.no_psram, "The board has no PSRAM");
  sub.add_option(
         "--flash", options.flash_megabytes,
         "MB of flash that the board has (default: as usual for the chip, or more if needed)")
      ->check(one_of({"2", "4", "8", "16", "32"}))
      ->type_name("MB");
  sub.add_option_function<std::string>(
         "--internal-ram",
         [&options](const std::string& text) {
           options.internal_ram = static_cast<std::size_t>(*parse_bytes(text));
         },
         "Bytes of the chip's own RAM that activations may take first, as 64K (default: 0)")
      ->check(internal_ram_size())
      ->excludes(no_psram)
      ->type_name("BYTES");
  sub.add_flag("--force", command->force,
               "Write over files that were changed, or that no project is made of");
  sub.footer(preprocess_help() +
             "Examples:\n"
             "  espquant project model.espdl --out firmware\n"
             "  espquant project model.espdl --samples test.npz --count 8 --out firmware\n"
             "  cd firmware && idf.py set-target esp32s3 && idf.py flash monitor\n");
  sub.callback([command, &context] {
    try {
      run_project(*command, context);
    } catch (Error& error) {
      if (error.file().empty()) error.file(command->options.file.path.string());
      throw;
    }
  });
}

}  // namespace espquant::cli
