#include "job/evaluate.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/report_options.h"
#include "job/model_facts.h"
#include "job/noise_report.h"
#include "measure/planned_memory.h"
#include "page/file_pages.h"
#include "report/json_text.h"

namespace espquant::cli {
namespace {

struct EvaluateCommand {
  job::ModelFile file;
  job::NetworkOptions network;
  job::DataOptions data;
  std::filesystem::path reference;
  sim::Options simulation;
  ReportOptions report;
  bool json = false;
};

/// The page of the file, and of what became of it.
void write_evaluation_page(const EvaluateCommand& command, const espdl::Model& model,
                           const Target& target, const job::Evaluated& evaluated,
                           const Context& context) {
  report::FileFacts facts = job::facts_of(read_file(command.file.path), command.file);
  facts.target = target.name;
  const report::Cost cost = report::cost_of(model, target);
  OutputFiles output;
  add_pages(output, command.report,
            page::page_of_evaluated(
                {"evaluate", command.file.path.filename().string(), context.command_line},
                {model, facts, target, &cost}, evaluated));
  output.commit();
}

void run_evaluate(const EvaluateCommand& command, Context& context) {
  const espdl::Model model = command.file.load();
  sim::Program program(model, command.file.target_to_run(model), command.simulation);
  print_faults(program);
  print_overwrites(measure::compute_in_planned_memory(program), kComputedAsPlanned);
  const espdl::Banks banks = command.file.load_banks(model);
  const measure::BankPrograms programs(program, banks);
  std::optional<Progress> bar;
  const job::Evaluated evaluated =
      job::evaluate(programs, command.reference, command.network, command.data, print_note,
                    [&](std::int64_t done, std::int64_t total) {
                      if (!bar) bar.emplace("evaluate", total, context.quiet || command.json);
                      bar->update(done);
                    });
  if (command.report.wanted())
    write_evaluation_page(command, model, program.target(), evaluated, context);
  if (command.json) {
    fmt::print("{}", report::json_text(job::json_of(evaluated)));
    return;
  }
  bar.reset();
  const job::Data& data = evaluated.data;
  const measure::Evaluation& result = evaluated.result;
  if (data.dataset->holds_pictures())
    fmt::print("Pictures         {}\n", data::describe(data.preprocess));
  fmt::print("Samples          {}\n", result.samples);
  if (result.noise) fmt::print("Noise to signal  {}\n", job::noise_text(*result.noise));
  if (result.accuracy) fmt::print("Accuracy         {:.2f} %\n", 100 * *result.accuracy);
  if (result.reference_accuracy)
    fmt::print("Float accuracy   {:.2f} %\n", 100 * *result.reference_accuracy);
  if (result.agreement) fmt::print("Agreement        {:.2f} %\n", 100 * *result.agreement);
  const std::string by_output = result.noise ? job::noise_by_output(*result.noise) : "";
  if (!by_output.empty()) fmt::print("\n{}", by_output);
  if (!context.quiet) print_pages(command.report);
}

}  // namespace

void add_evaluate(CLI::App& app, Context& context) {
  auto command = std::make_shared<EvaluateCommand>();
  CLI::App* sub = app.add_subcommand(
      "evaluate", "Measure a simulated .espdl on data, beside the float network");
  add_model_file(*sub, command->file);
  add_data(*sub, command->data.path,
           "What to measure on: .npz, .npy, or a folder of images; labels where it has them")
      ->required();
  sub->add_option("--reference", command->reference, "The float network, .onnx, to compare with")
      ->type_name("ONNX");
  add_count(*sub, command->data.count, "all");
  add_preprocess(*sub, command->data, "as the .espdl says");
  add_network_options(*sub, command->network);
  add_classes(*sub, command->data);
  add_target(*sub, command->file);
  add_banks(*sub, command->file);
  add_simulation(*sub, command->simulation);
  add_report(*sub, command->report);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(preprocess_help() +
              "Examples:\n"
              "  espquant evaluate model.espdl --data test.npz --reference model.onnx\n"
              "  espquant evaluate model.espdl --data test.npz --reference model.onnx --report "
              "page.html\n");
  sub->callback([command, &context] { run_evaluate(*command, context); });
}

}  // namespace espquant::cli
