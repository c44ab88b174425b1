#include "measure/evaluate.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "job/outline.h"
#include "job/port_metadata.h"
#include "measure/planned_memory.h"

namespace espquant::cli {
namespace {

struct EvaluateCommand {
  job::ModelFile file;
  job::NetworkOptions network;
  job::DataOptions data;
  std::filesystem::path reference;
  sim::Options simulation;
  bool json = false;
};

void run_evaluate(const EvaluateCommand& command, Context& context) {
  const espdl::Model model = command.file.load();
  sim::Program program(model, command.file.target_to_run(model), command.simulation);
  print_faults(program);
  print_overwrites(measure::compute_in_planned_memory(program), kComputedAsPlanned);
  const bool compared = !command.reference.empty();
  const Graph network =
      compared ? job::load_network(command.reference, command.network, model) : job::outline(model);
  std::unique_ptr<ops::Executor> reference;
  if (compared)
    reference =
        std::make_unique<ops::Executor>(network, ops::Executor::Options{.observe_all = false});
  const job::Data data =
      job::open_data(command.data, network, print_note, job::preprocess_settings(model),
                     job::stored_classes(model));
  job::question_data(data, command.data, network);
  job::question_ranges(data, model);
  Progress bar("evaluate", static_cast<std::int64_t>(data.chosen.size()),
               context.quiet || command.json);
  const auto result =
      measure::evaluate(program, network, reference.get(), data.source(), data.labels(),
                        [&](std::int64_t done, std::int64_t) { bar.update(done); });
  if (command.json) {
    nlohmann::ordered_json j{{"samples", result.samples}};
    if (data.dataset->holds_pictures())
      for (const auto& [key, value] : data::to_settings(data.preprocess))
        j["preprocess"][key] = value;
    if (result.noise) job::add_noise(j, *result.noise);
    if (result.accuracy) j["accuracy"] = *result.accuracy;
    if (result.reference_accuracy) j["reference_accuracy"] = *result.reference_accuracy;
    if (result.agreement) j["agreement"] = *result.agreement;
    fmt::print("{}\n", j.dump(2));
    return;
  }
  if (data.dataset->holds_pictures())
    fmt::print("Pictures         {}\n", data::describe(data.preprocess));
  fmt::print("Samples          {}\n", result.samples);
  if (result.noise) fmt::print("Noise to signal  {}\n", job::noise_text(*result.noise));
  if (result.accuracy) fmt::print("Accuracy         {:.2f} %\n", 100 * *result.accuracy);
  if (result.reference_accuracy)
    fmt::print("Float accuracy   {:.2f} %\n", 100 * *result.reference_accuracy);
  if (result.agreement) fmt::print("Agreement        {:.2f} %\n", 100 * *result.agreement);
  if (!result.noise) return;
  const std::string by_output = job::noise_by_output(*result.noise);
  if (!by_output.empty()) fmt::print("\n{}", by_output);
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
  add_simulation(*sub, command->simulation);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(preprocess_help() +
              "Example:\n  espquant evaluate model.espdl --data test.npz --reference model.onnx\n");
  sub->callback([command, &context] { run_evaluate(*command, context); });
}

}  // namespace espquant::cli
