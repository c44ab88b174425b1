#include "strategy/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/board_options.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "cli/recipe_options.h"
#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "job/quantized_files.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct CompareCommand {
  fs::path model;
  job::NetworkOptions network;
  job::DataOptions data;
  fs::path test;
  std::int64_t count = 0;
  fs::path out = ".";
  std::string target, name;
  std::vector<std::string> recipes{"int8", "mixed", "balanced"};
  job::RecipeOptions changes;
  job::BoardOptions board;
  bool compile_request = true;
  bool json = false;

  std::string network_name() const { return name.empty() ? model.stem().string() : name; }
};

/// Recipes that calibrate on the same samples.
struct Group {
  recipe::Recipe::Calibration calibration;
  job::Data data;
  std::unique_ptr<strategy::Preparation> preparation;
};

std::vector<recipe::Recipe> recipes_of(const CompareCommand& command) {
  std::vector<recipe::Recipe> recipes;
  for (const std::string& name : command.recipes) {
    job::RecipeOptions options = command.changes;
    options.recipe = name;
    recipes.push_back(job::recipe_of(options));
    const std::string& called = recipes.back().name;
    if (std::any_of(recipes.begin(), recipes.end() - 1,
                    [&](const recipe::Recipe& r) { return r.name == called; }))
      throw Error(ErrorCode::Usage, fmt::format("two recipes are called '{}'", called))
          .remedy("Their files would have the same names: give one another 'name'");
  }
  return recipes;
}

const Target& common_target(const std::string& given, const std::vector<recipe::Recipe>& recipes) {
  const Target& first = job::target_for(given, recipes.front(), print_note);
  for (const recipe::Recipe& recipe : recipes)
    if (&job::target_for(given, recipe, print_note) != &first)
      throw Error(ErrorCode::Usage,
                  fmt::format("the recipes '{}' and '{}' are for different chips or releases",
                              recipes.front().name, recipe.name))
          .remedy("Give the ones to compare on as --target and --espdl");
  return first;
}

Group& group_for(const recipe::Recipe& recipe, bool labels, const CompareCommand& command,
                 Graph& imported, std::deque<Group>& groups) {
  for (Group& known : groups)
    if (known.calibration.samples == recipe.calibration.samples &&
        known.calibration.seed == recipe.calibration.seed)
      return known;
  job::DataOptions options = command.data;
  options.count = recipe.calibration.samples;
  options.seed = recipe.calibration.seed;
  Group& group = groups.emplace_back();
  group.calibration = recipe.calibration;
  group.data = job::open_data_for(options, imported, print_note);
  job::question_calibration(group.data, options, imported);
  group.preparation = std::make_unique<strategy::Preparation>(
      imported, group.data.source(), labels ? group.data.labels() : std::vector<std::int64_t>{});
  return group;
}

std::vector<strategy::Contender> contenders_of(const CompareCommand& command, Graph& imported,
                                               std::deque<Group>& groups) {
  std::vector<recipe::Recipe> recipes = recipes_of(command);
  const Target& target = common_target(command.target, recipes);
  const bool labels = std::any_of(recipes.begin(), recipes.end(), [](const recipe::Recipe& r) {
    return r.mixed.accuracy_within.has_value();
  });
  const cost::LatencyOptions latency = command.board.latency_for(target, print_note);
  const std::vector<std::string> classes = job::class_names(command.data);
  std::vector<strategy::Contender> contenders;
  for (recipe::Recipe& recipe : recipes) {
    Group& group = group_for(recipe, labels, command, imported, groups);
    strategy::Contender& contender = contenders.emplace_back();
    contender.shared = group.preparation.get();
    contender.options.target = &target;
    contender.options.latency = latency;
    contender.options.metadata = job::metadata_of(group.data.preprocess, recipe, classes);
    recipe.target = std::string(target.name);
    recipe.espdl = std::string(target.release.version);
    contender.options.recipe = std::move(recipe);
  }
  return contenders;
}

std::string percent_or_blank(std::optional<double> fraction, int decimals) {
  return fraction ? fmt::format("{:.{}f} %", 100 * *fraction, decimals) : "";
}

std::string short_noise(double ratio) {
  return ratio >= 1e-4 ? percent_or_blank(ratio, 3) : fmt::format("{:.1e} %", 100 * ratio);
}

std::string wide_layers_text(const strategy::Compared& r) {
  const std::string wide = fmt::format("{} of {}", r.wide_nodes, r.nodes);
  return r.narrow_weights == 0 ? wide : fmt::format("{}, {} w8", wide, r.narrow_weights);
}

std::string compare_table_of(const std::vector<strategy::Compared>& results) {
  using Align = report::Table::Align;
  report::Table table({{"", Align::Left},
                       {"recipe", Align::Left},
                       {"file", Align::Right},
                       {"RAM", Align::Right},
                       {"16-bit", Align::Right},
                       {"noise", Align::Right},
                       {"accuracy", Align::Right},
                       {"as float", Align::Right},
                       {"est. ms", Align::Right},
                       {"seconds", Align::Right}});
  for (const strategy::Compared& r : results) {
    if (!r.refusal.empty()) {
      table.add_row({"", r.recipe.name, "refused"});
      continue;
    }
    table.add_row(
        {r.unbeaten ? "*" : "", r.recipe.name, report::human_bytes(r.file->bytes().size()),
         report::human_bytes(r.merits.activation_bytes), wide_layers_text(r),
         short_noise(r.merits.noise_to_signal), percent_or_blank(r.evaluation.accuracy, 2),
         percent_or_blank(r.evaluation.agreement, 2),
         fmt::format("{:.{}f}", r.merits.milliseconds, r.merits.milliseconds < 10 ? 2 : 1),
         fmt::format("{:.2f}", r.seconds)});
  }
  return table.to_string();
}

void print_comparison(const std::vector<strategy::Compared>& results, const Target& target,
                      const CompareCommand& command, const job::Data& calibration) {
  fmt::print("{} for {}, calibrated on {} samples\n", command.network_name(), target.name,
             calibration.chosen.size());
  if (calibration.dataset->holds_pictures())
    fmt::print("Pictures: {}\n", data::describe(calibration.preprocess));
  fmt::print("\n{}\n", compare_table_of(results));
  fmt::print(
      "* beaten by none: no other is at least as good in file size, RAM, noise and time, and\n"
      "  better in one of them\n"
      "RAM: of activations. 16-bit: layers; w8: those of them with weights of 8 bits. Noise: to\n"
      "signal, at the worst of the outputs; of scores before Softmax. As float: same answer as "
      "the\n"
      "float network. Seconds: to quantize; what recipes share counts once.\n");
  const auto measured =
      std::find_if(results.begin(), results.end(), [](const auto& r) { return r.refusal.empty(); });
  const measure::Evaluation& evaluation = measured->evaluation;
  fmt::print("Measured on {} {} samples", evaluation.samples,
             command.test.empty() ? "calibration" : "test");
  if (evaluation.reference_accuracy)
    fmt::print("; accuracy of the float network {}",
               percent_or_blank(evaluation.reference_accuracy, 2));
  fmt::print("\n");
}

ordered_json compare_json_of(const strategy::Compared& r, const std::vector<fs::path>& files,
                             const fs::path& dir) {
  ordered_json j{{"recipe", r.recipe.name}};
  if (!r.refusal.empty()) {
    j["refused"] = r.refusal;
    return j;
  }
  for (const fs::path& file : files) j["files"].push_back(file.lexically_relative(dir).string());
  j["unbeaten"] = r.unbeaten;
  j["file_bytes"] = r.file->bytes().size();
  j["activation_bytes"] = r.merits.activation_bytes;
  j["layers"] = r.nodes;
  j["layers_16bit"] = r.wide_nodes;
  j["layers_w8a16"] = r.narrow_weights;
  job::add_noise(j, *r.evaluation.noise);
  if (r.evaluation.accuracy) j["accuracy"] = *r.evaluation.accuracy;
  if (r.evaluation.agreement) j["agreement"] = *r.evaluation.agreement;
  j["milliseconds"] = r.merits.milliseconds;
  if (!r.warnings.empty()) j["warnings"] = r.warnings;
  return j;
}

ordered_json compare_json_of(const std::vector<strategy::Compared>& results,
                             const std::vector<std::vector<fs::path>>& files, const Target& target,
                             const CompareCommand& command) {
  ordered_json j{{"network", command.network_name()},
                 {"target", target.name},
                 {"espdl", target.release.version},
                 {"measured_on", command.test.empty() ? "calibration" : "test"}};
  for (const strategy::Compared& r : results) {
    if (!r.refusal.empty()) continue;
    j["samples"] = r.evaluation.samples;
    if (r.evaluation.reference_accuracy) j["float_accuracy"] = *r.evaluation.reference_accuracy;
    break;
  }
  j["recipes"] = ordered_json::array();
  for (std::size_t i = 0; i < results.size(); ++i)
    j["recipes"].push_back(compare_json_of(results[i], files[i], command.out));
  return j;
}

void refuse_if_nothing_is_left(const std::vector<strategy::Compared>& results,
                               const fs::path& model) {
  std::string reasons;
  for (const strategy::Compared& r : results) {
    if (r.refusal.empty()) return;
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", r.recipe.name, r.refusal);
  }
  throw Error(ErrorCode::Unsupported, "all recipes are refused: " + reasons).file(model.string());
}

void print_notes_of(const std::vector<strategy::Compared>& results) {
  for (const strategy::Compared& r : results) {
    if (!r.refusal.empty())
      print_note(fmt::format("recipe '{}' is refused: {}", r.recipe.name, r.refusal));
    for (const std::string& warning : r.warnings)
      print_warning(fmt::format("{}: {}", r.recipe.name, warning));
    for (const std::string& note : job::notes_of(r))
      print_note(fmt::format("{}: {}", r.recipe.name, note));
  }
}

void run_compare(const CompareCommand& command, Context& context) {
  const bool quiet = context.quiet || command.json;
  Graph imported =
      job::import_network(command.model, command.network, command.data,
                          common_target(command.target, recipes_of(command)), print_note);
  std::deque<Group> groups;
  const std::vector<strategy::Contender> contenders = contenders_of(command, imported, groups);
  const Target& target = *contenders.front().options.target;

  job::Data test;
  if (!command.test.empty()) {
    job::DataOptions options = command.data;
    options.path = command.test;
    options.count = command.count;
    test = job::open_data(options, imported, print_note);
    job::question_data(test, options, imported);
  }
  const job::Data& measured = command.test.empty() ? groups.front().data : test;
  const std::vector<strategy::Compared> results = strategy::compare_recipes(
      contenders, measured.source(), measured.labels(), show_stages(quiet));
  refuse_if_nothing_is_left(results, command.model);

  OutputFiles output;
  std::vector<std::vector<fs::path>> files;
  for (const strategy::Compared& r : results) {
    files.emplace_back();
    if (r.refusal.empty())
      files.back() = job::add_quantized(output, command.out, command.network_name(), r.recipe.name,
                                        r.model, target, *r.file, groups.front().data.preprocess,
                                        command.compile_request);
  }
  ordered_json json = compare_json_of(results, files, target, command);
  const fs::path summary = command.out / "compare.json";
  output.add(summary, json.dump(2) + "\n");
  output.commit();

  print_notes_of(results);
  if (command.json) {
    // Not in the file: that is the same from run to run.
    for (std::size_t i = 0; i < results.size(); ++i)
      json["recipes"][i]["seconds"] = results[i].seconds;
    fmt::print("{}\n", json.dump(2));
    return;
  }
  if (context.quiet) return;
  print_comparison(results, target, command, groups.front().data);
  for (const auto& written : files)
    if (!written.empty()) fmt::print("Wrote {}\n", written.front().parent_path().string());
  fmt::print("Wrote {}\n", summary.string());
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  auto command = std::make_shared<CompareCommand>();
  CLI::App* sub = app.add_subcommand(
      "compare", "Quantize a network by several recipes, and show what each costs and gives");
  add_network(*sub, command->model);
  add_calib(*sub, command->data.path)->required();
  add_data(*sub, command->test,
           "Data to measure on, with labels or without (default: the calibration data)");
  add_count(*sub, command->count, "all");
  sub->add_option("--recipe", command->recipes,
                  "Recipes, or TOML files with them, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str("int8,mixed,balanced")
      ->type_name("NAME|FILE,")
      ->group("Recipe");
  add_recipe_changes(*sub, command->changes);
  add_new_target(*sub, command->target, "a recipe");
  add_release(*sub, command->changes.espdl, "what the recipes say, else the newest");
  add_out_folder(*sub, command->out);
  add_name(*sub, command->name);
  add_preprocess(*sub, command->data, "scaled to 0..1, stretched to the input's size");
  add_network_options(*sub, command->network);
  add_cut_tail(*sub, command->network);
  add_classes(*sub, command->data);
  add_board(*sub, command->board);
  add_compile_request_flag(*sub, command->compile_request);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(preprocess_help() +
              "Example:\n"
              "  espquant compare model.onnx --calib calib.npz --data test.npz --recipe "
              "int8,mixed,mine.toml --out out/\n");
  sub->callback([command, &context] { run_compare(*command, context); });
}

}  // namespace espquant::cli
