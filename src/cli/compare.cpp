#include "job/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
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
#include "cli/report_options.h"
#include "page/layers_part.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct CompareCommand {
  job::CompareJob job;
  fs::path test;
  std::int64_t count = 0;
  fs::path out = ".";
  std::string name;
  std::vector<std::string> recipes{"int8", "mixed", "balanced"};
  job::RecipeOptions changes;
  bool compile_request = true;
  ReportOptions report;
  bool json = false;

  std::string network_name() const { return name.empty() ? job.model.stem().string() : name; }
};

/// The options that stand for several members.
job::CompareJob job_of(const CompareCommand& command) {
  job::CompareJob job = command.job;
  for (const std::string& name : command.recipes) {
    job.recipes.push_back(command.changes);
    job.recipes.back().recipe = name;
  }
  if (command.test.empty()) return job;
  job.test = job.calib;
  job.test->path = command.test;
  job.test->count = command.count;
  return job;
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
        {r.unbeaten ? "*" : "", r.recipe.name,
         report::human_bytes(r.file->bytes().size() + r.banks_bytes),
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
  for (const strategy::Compared& r : results)
    if (r.banks && r.refusal.empty())
      fmt::print("{}: {} banks of exponents beside the model's own, {} of the file\n",
                 r.recipe.name, r.banks->banks.banks.size(), report::human_bytes(r.banks_bytes));
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
  job::CompareJob job = job_of(command);
  std::vector<ordered_json> layers;
  if (command.report.wanted())
    job.visit = [&](const strategy::QuantizedModel& made, const Target& target,
                    const calib::SampleSource& calibration) {
      layers.push_back(page::layers_of(made, target, calibration));
    };
  const job::Comparison comparison = job::compare(job, print_note, show_stages(quiet));
  const std::vector<strategy::Compared>& results = comparison.results;

  OutputFiles output;
  const std::vector<std::vector<fs::path>> files = job::add_files(
      output, comparison, command.out, command.network_name(), command.compile_request);
  ordered_json json = job::json_of(comparison, command.network_name(), files, command.out);
  const fs::path summary = command.out / "compare.json";
  output.add(summary, report::json_text(json));
  if (command.report.wanted())
    add_pages(output, command.report,
              page::page_of_comparison(
                  {"compare", command.job.model.filename().string(), context.command_line},
                  comparison, files, layers));
  output.commit();

  print_notes_of(results);
  if (command.json) {
    // Not in the file: that is the same from run to run.
    for (std::size_t i = 0; i < results.size(); ++i)
      json["recipes"][i]["seconds"] = results[i].seconds;
    fmt::print("{}", report::json_text(json));
    return;
  }
  if (context.quiet) return;
  print_comparison(results, *comparison.target, command, comparison.calibration);
  for (const auto& written : files)
    if (!written.empty()) fmt::print("Wrote {}\n", written.front().parent_path().string());
  fmt::print("Wrote {}\n", summary.string());
  print_pages(command.report);
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  auto command = std::make_shared<CompareCommand>();
  CLI::App* sub = app.add_subcommand(
      "compare", "Quantize a network by several recipes, and show what each costs and gives");
  add_network(*sub, command->job.model);
  add_calib(*sub, command->job.calib.path)->required();
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
  add_new_target(*sub, command->job.target, "a recipe");
  add_release(*sub, command->changes.espdl, "what the recipes say, else the newest");
  add_out_folder(*sub, command->out);
  add_name(*sub, command->name);
  add_preprocess(*sub, command->job.calib, "scaled to 0..1, stretched to the input's size");
  add_network_options(*sub, command->job.network);
  add_cut_tail(*sub, command->job.network);
  add_classes(*sub, command->job.calib);
  add_time(
      *sub, [command](double seconds) { command->job.search_seconds = seconds; },
      "Time for the search of mixed");
  add_board(*sub, command->job.board);
  add_fit(*sub, command->job.fit);
  add_compile_request_flag(*sub, command->compile_request);
  add_report(*sub, command->report);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(preprocess_help() +
              "Example:\n"
              "  espquant compare model.onnx --calib calib.npz --data test.npz --recipe "
              "int8,mixed,mine.toml --out out/\n");
  sub->callback([command, &context] { run_compare(*command, context); });
}

}  // namespace espquant::cli
