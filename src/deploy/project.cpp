#include "deploy/project.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "deploy/chip_facts.h"
#include "deploy/facts.h"
#include "deploy/flash_plan.h"
#include "deploy/model_cost.h"
#include "deploy/templates.h"
#include "report/compile_request.h"
#include "report/cost_table.h"

namespace espquant::deploy {
namespace {

/// A source of main/ that is a template as it stands.
void add_verbatim(Project& project, std::string_view name) {
  const std::string path = fmt::format("main/{}", name);
  project.files.push_back({path, std::string(find_template(path))});
}

struct AppParts {
  /// The template of app_main.cpp, its further sources (with a header each), and components.
  std::string_view name;
  std::vector<std::string> sources, components;
};

AppParts parts_of(App app) {
  switch (app) {
    case App::SelfTest:
      return {"selftest", {"compare", "selftest"}, {}};
    case App::Serial:
      return {
          "serial", {"protocol", "serial_port"}, {"esp_driver_uart", "esp_driver_usb_serial_jtag"}};
    case App::Camera:
      return {"camera", {"jpeg"}, {"esp32-camera", "esp_new_jpeg"}};
    case App::Minimal:
      break;
  }
  return {"minimal", {}, {}};
}

/// Of CMake: letters, digits, '_' and '-'.
std::string project_name(std::string_view title) {
  std::string name;
  for (const char c : title) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += plain || c == '-' ? c : '_';
  }
  return name.empty() ? "firmware" : name;
}

/// In a line of Markdown or CMake.
std::string in_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return text;
}

std::string costs_table(const ProjectRequest& request) {
  std::string rows = "| model | bytes | RAM | one run |\n|---|---|---|---|";
  for (const ProjectModel& model : request.models) {
    const ModelCost cost = cost_of(request, model);
    rows += fmt::format("\n| `{}` | {} | {} | {} |", in_one_line(model.name), model.bytes,
                        cost.ram_bytes, report::latency_text(cost.latency));
  }
  return rows;
}

/// Whether banks change tables, which only their nodes know.
bool has_tables(const ProjectRequest& request) {
  if (!espdl::softmaxes_of(request.models.front().model, request.banks).empty()) return true;
  const auto& nodes = request.models.front().model.nodes;
  return std::any_of(nodes.begin(), nodes.end(), [&](const espdl::Node& n) {
    const auto& names = request.banks.constants;
    return std::find(names.begin(), names.end(), n.get_string("lut", "")) != names.end();
  });
}

/// Where it is worth it and was not asked for.
std::string internal_ram_advice(const ProjectRequest& request) {
  if (request.internal_ram != 0 || request.models.size() != 1 || !has_psram(request)) return "";
  cost::PlannerOptions planner;
  planner.has_psram = true;
  planner.copy_parameters = copies_parameters(request);
  const auto advice =
      recommended_internal_ram(request.models.front().model, *request.target, planner);
  if (!advice) return "";
  return fmt::format(
      " With `kInternalRam = {}` in `main/model_storage.cpp` (or `--internal-ram {}` when the "
      "project "
      "is made), one run is estimated at {} ms, as long as the application leaves that much of the "
      "chip's own RAM.",
      advice->bytes, advice->bytes, report::milliseconds_text(advice->milliseconds));
}

std::string_view location_of(Storage storage) {
  switch (storage) {
    case Storage::Partition:
      return "MODEL_LOCATION_IN_FLASH_PARTITION";
    case Storage::SdCard:
      return "MODEL_LOCATION_IN_SDCARD";
    case Storage::Rodata:
      break;
  }
  return "MODEL_LOCATION_IN_FLASH_RODATA";
}

std::string preprocess_text(const ProjectRequest& request) {
  const ProjectModel& model = request.models.front();
  if (!model.pictures) return "The model takes no pictures: the latter two prepare none.";
  return fmt::format("Pictures: {}.", data::describe(model.pictures->preprocess));
}

std::string compile_request_text(const ProjectRequest& request) {
  report::CompileRequest all;
  std::vector<std::string> names;
  for (const ProjectModel& model : request.models) {
    all.add(report::compile_request(model.model, *request.target));
    names.push_back(model.name);
  }
  return report::to_yaml(all, fmt::format("{}, {}", fmt::join(names, ", "), request.target->name));
}

/// What nvs_partition_gen.py takes.
std::string key_file(const espdl::Key& key) {
  std::string digits;
  for (const std::byte b : key) digits += fmt::format("{:02x}", static_cast<unsigned>(b));
  return fmt::format("key,type,encoding,value\nespquant,namespace,,\nmodel_key,data,hex2bin,{}\n",
                     digits);
}

void check_request(const ProjectRequest& request, const ChipFacts& chip) {
  ESPQUANT_ASSERT(request.target != nullptr && !request.models.empty(), "a project without models");
  if (request.app == App::Camera && chip.camera.empty())
    throw Error(ErrorCode::Usage,
                fmt::format("the component esp32-camera does not drive the {}'s camera", chip.name))
        .remedy("Take --app serial, and give its Preprocessor the frames of your camera's driver");
  if (request.app != App::Camera) return;
  for (const ProjectModel& model : request.models)
    if (!model.pictures)
      throw Error(ErrorCode::Usage, fmt::format("the model '{}' takes no pictures", model.name))
          .remedy(fmt::format("{} or say how they are prepared: --preprocess",
                              request.models.size() > 1 ? "Name another with --model,"
                                                        : "Take --app serial or minimal,"));
}

TemplateValues values_of(const ProjectRequest& request, const ChipFacts& chip,
                         const FlashPlan& flash, const AppParts& parts) {
  const bool sdcard = request.storage == Storage::SdCard;
  std::vector<std::string> sources = {"app_main",      "model",       "model_facts",
                                      "model_storage", "postprocess", "preprocess"};
  std::vector<std::string> components = {"esp-dl", "esp_timer"};
  sources.insert(sources.end(), parts.sources.begin(), parts.sources.end());
  components.insert(components.end(), parts.components.begin(), parts.components.end());
  if (sdcard) {
    sources.emplace_back("sdcard");
    components.insert(components.end(), {"fatfs", "esp_driver_sdmmc", "esp_driver_sdspi"});
  }
  if (request.key) components.emplace_back("nvs_flash");
  const bool banks = !request.banks_file.empty();
  if (banks) sources.insert(sources.end(), {"banks", "banks_file", "banks_load", "banks_of_model"});
  std::sort(sources.begin(), sources.end());
  for (std::string& source : sources) source = fmt::format("\"{}.cpp\"", source);
  std::size_t samples = 0;
  for (const ProjectModel& model : request.models) samples += model.samples.size();
  const std::string title = in_one_line(request.models.front().name);
  TemplateValues values;
  values.texts = {
      {"title", title},
      {"project", project_name(title)},
      {"chip", std::string(chip.name)},
      {"least_idf", std::string(chip.least_idf)},
      {"port", std::string(chip.usual_port)},
      {"flash", fmt::format("{}", flash.megabytes)},
      {"app_size", fmt::format("{:#x}", flash.app_size)},
      {"model_offset", fmt::format("{:#x}", flash.model_offset)},
      {"model_size", fmt::format("{:#x}", flash.model_size)},
      {"location", std::string(location_of(request.storage))},
      {"internal_ram", fmt::format("{}", request.internal_ram)},
      {"copy_parameters", fmt::format("{}", copies_parameters(request))},
      {"sources", fmt::format("{}", fmt::join(sources, "\n                            "))},
      {"requires", fmt::format("{}", fmt::join(components, " "))},
      {"sample_total", fmt::format("{}", samples)},
      {"camera_default", std::string(chip.camera)},
      {"sd_spi", chip.sdmmc ? "n" : "y"},
      {"sd_clk", fmt::format("{}", chip.card_pins[0])},
      {"sd_cmd", fmt::format("{}", chip.card_pins[1])},
      {"sd_d0", fmt::format("{}", chip.card_pins[2])},
      {"sd_cs", fmt::format("{}", chip.card_pins[3])},
      {"bank_tables", has_tables(request) ? "1" : "0"},
      {"costs", costs_table(request)},
      {"ram_verdict", ram_verdict(request).text + internal_ram_advice(request)},
      {"preprocess_text", in_one_line(preprocess_text(request))},
  };
  values.flags = {
      {"rodata", request.storage == Storage::Rodata},
      {"partition", request.storage == Storage::Partition},
      {"sdcard", sdcard},
      {"encrypted", request.key.has_value()},
      {"includes", sdcard || request.key},
      {"psram", has_psram(request)},
      {"samples", request.app == App::SelfTest},
      {"several_served", request.app == App::Serial && request.models.size() > 1},
      {"embeds", request.app == App::SelfTest || request.storage == Storage::Rodata || banks},
      {"banks", banks},
      {"selftest", request.app == App::SelfTest},
      {"minimal", request.app == App::Minimal},
      {"serial", request.app == App::Serial},
      {"camera", request.app == App::Camera},
      {"menu", request.app == App::Serial || request.app == App::Camera || sdcard},
  };
  return values;
}

}  // namespace

Project make_project(const ProjectRequest& request) {
  const ChipFacts& chip = chip_facts(*request.target);
  check_request(request, chip);
  const AppParts parts = parts_of(request.app);
  const bool selftest = request.app == App::SelfTest;
  const std::string samples = selftest ? samples_file(request) : "";
  const FlashPlan flash = plan_flash(request, samples.size());
  const TemplateValues values = values_of(request, chip, flash, parts);

  Project project;
  const RamVerdict ram = ram_verdict(request);
  project.ram_verdict = ram.text;
  project.fits_ram = ram.fits;
  project.flash_megabytes = flash.megabytes;
  const auto add = [&](const std::string& path, std::string content) {
    project.files.push_back({path, std::move(content)});
  };
  const auto add_rendered = [&](const std::string& path, const std::string& from) {
    add(path, rendered(find_template(from), values));
  };
  add_rendered("CMakeLists.txt", "CMakeLists.txt.in");
  add_rendered("README.md", "README.md.in");
  add_rendered("partitions.csv", "partitions.csv.in");
  add_rendered("sdkconfig.defaults", "sdkconfig.defaults.in");
  add_rendered(fmt::format("sdkconfig.defaults.{}", chip.name),
               fmt::format("sdkconfig/{}.in", chip.name));
  add(".gitignore", std::string(find_template("gitignore")));
  add(".clang-format", std::string(find_template("clang-format")));
  add_rendered("main/CMakeLists.txt", "main/CMakeLists.txt.in");
  add_rendered("main/idf_component.yml", "main/idf_component.yml.in");
  if (values.flags.at("menu")) add_rendered("main/Kconfig.projbuild", "main/Kconfig.projbuild.in");
  add_rendered("main/app_main.cpp", fmt::format("main/app_{}.cpp.in", parts.name));
  std::vector<std::string> sources = {"model", "postprocess", "preprocess"};
  sources.insert(sources.end(), parts.sources.begin(), parts.sources.end());
  if (request.storage == Storage::SdCard) sources.emplace_back("sdcard");
  const bool banks = !request.banks_file.empty();
  if (banks) sources.insert(sources.end(), {"banks", "banks_file", "banks_of_model"});
  for (const std::string& source : sources) {
    add_verbatim(project, source + ".hpp");
    if (source == "selftest")
      add_rendered("main/selftest.cpp", "main/selftest.cpp.in");
    else
      add_verbatim(project, source + ".cpp");
  }
  if (banks) add_verbatim(project, "banks_load.cpp");
  if (request.app == App::Camera) add_verbatim(project, "camera_boards.hpp");
  add_verbatim(project, "model_facts.hpp");
  add_verbatim(project, "model_storage.hpp");
  add_rendered("main/model_storage.cpp", "main/model_storage.cpp.in");
  add("main/model_facts.cpp", model_facts_source(request));
  add("main/model.compile_req.yml", compile_request_text(request));
  add("main/model.espdl",
      {reinterpret_cast<const char*>(request.file.data()), request.file.size()});
  if (banks)
    add("main/model.banks",
        {reinterpret_cast<const char*>(request.banks_file.data()), request.banks_file.size()});
  if (selftest) add("main/samples.bin", samples);
  if (request.key) add("model_key.csv", key_file(*request.key));
  return project;
}

}  // namespace espquant::deploy
