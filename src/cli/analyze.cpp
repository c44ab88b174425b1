#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/analyze_network.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/recipe_options.h"
#include "cli/validators.h"
#include "job/bank_report.h"
#include "job/data_doubts.h"
#include "job/model_facts.h"
#include "job/outline.h"
#include "job/port_metadata.h"
#include "job/saturation_report.h"
#include "measure/bank_programs.h"
#include "page/file_pages.h"
#include "report/json_text.h"

namespace espquant::cli {
namespace {

// Of an .espdl.
constexpr std::int64_t kFileSamples = 100;

struct AnalyzeCommand {
  job::ModelFile file;
  job::NetworkOptions network;
  /// Of an .espdl; calibration, recipe and order are the network's.
  job::DataOptions data;
  std::filesystem::path reference, csv, calib;
  job::RecipeOptions recipe;
  job::AnalysisView view;
  ReportOptions report;
  bool json = false;
};

NetworkAnalysis of_network(const AnalyzeCommand& command) {
  NetworkAnalysis network;
  job::AnalyzeJob& job = network.job;
  job.model = command.file.path;
  job.network = command.network;
  job.calib = command.data;
  job.calib.path = command.calib;
  if (!command.data.path.empty()) job.test = command.data;
  if (command.data.count > 0) job.samples = command.data.count;
  job.target = command.file.target;
  job.recipe = command.recipe;
  job.recipe.espdl = command.file.espdl;
  network.view = command.view;
  network.csv = command.csv;
  network.report = command.report;
  network.json = command.json;
  return network;
}

/// On the frames of one bank.
struct BankSaturation {
  std::size_t bank = 0;
  measure::SaturationReport report;
};

/// Of every bank that has frames. `progress`: frames that are done.
std::vector<BankSaturation> saturations_of(const measure::BankPrograms& programs,
                                           const Graph& network, const ops::Executor* reference,
                                           const calib::SampleSource& source,
                                           const std::function<void(std::int64_t)>& progress) {
  std::vector<std::vector<std::int64_t>> frames(programs.all().size());
  for (std::int64_t i = 0; i < source.count; ++i) {
    const bool one = programs.all().size() == 1;
    frames[one ? 0 : programs.choose(source.sample(i))].push_back(i);
  }
  std::vector<BankSaturation> saturations;
  std::int64_t before = 0;
  for (std::size_t b = 0; b < frames.size(); ++b) {
    if (frames[b].empty()) continue;
    const auto count = static_cast<std::int64_t>(frames[b].size());
    const calib::SampleSource own{count, [&](std::int64_t i) {
                                    return source.sample(frames[b][static_cast<std::size_t>(i)]);
                                  }};
    saturations.push_back(
        {b, measure::measure_saturation(
                *programs.all()[b], network, reference, own,
                [&](std::int64_t done, std::int64_t) { progress(before + done); })});
    before += count;
  }
  return saturations;
}

/// What is in the file, what becomes of the inputs, and which nodes' sums clip.
void write_saturation_page(const AnalyzeCommand& command, const measure::BankPrograms& programs,
                           const Graph& network, const ops::Executor* reference, job::Data data,
                           const std::vector<BankSaturation>& saturations, const Context& context) {
  const sim::Program& program = programs.own();
  report::FileFacts facts = job::facts_of(read_file(command.file.path), command.file);
  facts.target = program.target().name;
  const report::Cost cost = report::cost_of(program.model(), program.target());
  job::Evaluated evaluated;
  evaluated.result = measure::evaluate_chosen(
      programs.all(), [&](std::span<const Tensor> inputs) { return programs.choose(inputs); },
      network, reference, data.source(), data.labels());
  evaluated.data = std::move(data);
  std::vector<measure::SaturationReport> reports;
  for (const BankSaturation& one : saturations) reports.push_back(one.report);
  OutputFiles output;
  add_pages(output, command.report,
            page::page_of_saturation(
                {"analyze", command.file.path.filename().string(), context.command_line},
                {program.model(), facts, program.target(), &cost}, evaluated, reports));
  output.commit();
}

/// Saturation of a finished model: needs no recipe, only inputs.
void analyze_espdl(const AnalyzeCommand& command, Context& context) {
  if (command.data.path.empty())
    throw Error(ErrorCode::Usage, "saturation is measured on inputs")
        .file(command.file.path.string())
        .remedy("Add --data DATA: .npz, .npy, or a folder of images");
  const espdl::Model model = command.file.load();
  const sim::Program program(model, command.file.target_to_run(model));
  print_faults(program);
  print_overwrites(cost::plan_memory(model, program.target()).overwrites,
                   "saturation is measured as if it were not");
  const bool compared = !command.reference.empty();
  const Graph network =
      compared ? job::load_network(command.reference, command.network, model) : job::outline(model);
  std::unique_ptr<ops::Executor> reference;
  if (compared)
    reference =
        std::make_unique<ops::Executor>(network, ops::Executor::Options{.observe_all = false});
  job::DataOptions options = command.data;
  if (options.count == 0) options.count = kFileSamples;
  job::Data data = job::open_data(options, network, print_note, job::preprocess_settings(model));
  job::question_data(data, options, network);
  job::question_ranges(data, model);
  const espdl::Banks banks = command.file.load_banks(model);
  const measure::BankPrograms programs(program, banks);
  Progress bar("analyze", static_cast<std::int64_t>(data.chosen.size()),
               context.quiet || command.json);
  const std::vector<BankSaturation> saturations =
      saturations_of(programs, network, reference.get(), data.source(),
                     [&](std::int64_t done) { bar.update(done); });
  const Target& target = program.target();
  const std::string file = command.file.path.string();
  if (!command.csv.empty()) {
    if (saturations.size() > 1)
      throw Error(ErrorCode::Usage, "--csv is for one bank of exponents")
          .remedy("Take the model alone: --banks none");
    OutputFiles files;
    files.add(command.csv, job::saturation_csv(saturations.front().report));
    files.commit();
  }
  if (command.report.wanted())
    write_saturation_page(command, programs, network, reference.get(), std::move(data), saturations,
                          context);
  if (banks.banks.empty()) {
    const measure::SaturationReport& report = saturations.front().report;
    if (command.json)
      fmt::print("{}", job::saturation_json(report, target, file));
    else if (!context.quiet)
      fmt::print("{}", job::saturation_text(report, target, command.view.rows));
    if (!command.json && !context.quiet) print_pages(command.report);
    return;
  }
  if (command.json) {
    nlohmann::ordered_json json{{"file", file}, {"banks", nlohmann::ordered_json::array()}};
    for (const BankSaturation& one : saturations) {
      auto bank = nlohmann::ordered_json::parse(job::saturation_json(one.report, target, file));
      bank["bank"] = one.bank;
      json["banks"].push_back(std::move(bank));
    }
    json["ranges"] = job::following_json(model, banks);
    fmt::print("{}", report::json_text(json));
    return;
  }
  if (context.quiet) return;
  for (const BankSaturation& one : saturations)
    fmt::print(
        "Frames of {}:\n{}\n",
        one.bank == banks.banks.size() ? "the model's own bank" : fmt::format("bank {}", one.bank),
        job::saturation_text(one.report, target, command.view.rows));
  fmt::print("Ranges, by bank of exponents:\n{}", job::following_text(model, banks));
  print_pages(command.report);
}

void run_analyze(const AnalyzeCommand& command, Context& context) {
  if (job::is_network(command.file.path))
    analyze_network(of_network(command), context);
  else
    analyze_espdl(command, context);
}

std::map<std::string, job::AnalysisOrder> orders() {
  return {{"output", job::AnalysisOrder::Output}, {"accumulated", job::AnalysisOrder::Accumulated},
          {"alone", job::AnalysisOrder::Alone},   {"clipped", job::AnalysisOrder::Clipped},
          {"spread", job::AnalysisOrder::Spread}, {"network", job::AnalysisOrder::Network}};
}

std::vector<std::string> words_of(const std::map<std::string, job::AnalysisOrder>& meanings) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : meanings) words.push_back(word);
  return words;
}

}  // namespace

void add_analyze(CLI::App& app, Context& context) {
  auto command = std::make_shared<AnalyzeCommand>();
  CLI::App* sub = app.add_subcommand(
      "analyze",
      "Show which layer of an .onnx loses what by quantization, and why; or how near the sums of "
      "an .espdl come to the chip's limit");
  add_model_file(*sub, command->file);
  add_calib(*sub, command->calib)
      ->description("Of an .onnx: calibration data, .npz, .npy, or a folder of images");
  add_data(*sub, command->data.path,
           "What to measure on: .npz, .npy, or a folder of images (default for an .onnx: the "
           "calibration data)");
  sub->add_option("--reference", command->reference,
                  "Of an .espdl: the float network, .onnx, to compare with")
      ->type_name("ONNX");
  add_count(*sub, command->data.count, "32 for an .onnx, 100 for an .espdl");
  sub->add_option("--top", command->view.rows,
                  "Rows of the table, the worst first; 0: all (default: 20)")
      ->check(whole_number(0))
      ->type_name("N");
  sub->add_option("--explain", command->view.explained,
                  "Of an .onnx: layers that are explained (default: 3)")
      ->check(whole_number(0))
      ->type_name("N");
  sub->add_option_function<std::string>(
         "--sort",
         [command = command.get()](const std::string& word) {
           command->view.order = orders().at(word);
         },
         "Of an .onnx: output (default), accumulated, alone, clipped, spread, network")
      ->check(one_of(words_of(orders())))
      ->type_name("ORDER");
  sub->add_option("--csv", command->csv, "Write all layers to this file")->type_name("FILE");
  add_network_options(*sub, command->network);
  add_cut_tail(*sub, command->network);
  add_recipe_options(*sub, command->recipe);
  add_preprocess(*sub, command->data, "as the .espdl says");
  add_target(*sub, command->file);
  add_banks(*sub, command->file);
  add_report(*sub, command->report);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(preprocess_help() +
              "Examples:\n"
              "  espquant analyze model.onnx --calib images/ --recipe balanced\n"
              "  espquant analyze model.espdl --data test.npz --reference model.onnx\n");
  sub->callback([command, &context] { run_analyze(*command, context); });
}

}  // namespace espquant::cli
