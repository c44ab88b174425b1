#include "job/quantize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/board_options.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "cli/recipe_options.h"
#include "cli/report_options.h"
#include "cli/validators.h"
#include "espdl/statistics.h"
#include "job/noise_report.h"
#include "job/quantized_files.h"
#include "measure/evaluate.h"
#include "page/layers_part.h"
#include "report/cost_table.h"
#include "report/json_text.h"
#include "report/table.h"
#include "strategy/lost_outputs.h"
#include "strategy/quantize_model.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeCommand {
  job::QuantizeJob job;
  fs::path data, out = ".";
  std::string name;
  bool compile_request = true;
  std::int64_t count = 0, report_samples = 0;
  ReportOptions report;
  bool json = false;

  std::string files_name() const { return name.empty() ? job.model.stem().string() : name; }
};

/// The options that stand for several members.
job::QuantizeJob job_of(const QuantizeCommand& command) {
  job::QuantizeJob job = command.job;
  if (command.report_samples > 0)
    job.report_samples = command.report_samples;
  else if (command.count > 0)
    job.report_samples = command.count;
  if (command.data.empty()) return job;
  job.test = job.calib;
  job.test->path = command.data;
  job.test->count = command.count;
  return job;
}

std::string noise_percent(double fraction) { return fmt::format("{:.3f} %", 100 * fraction); }

void print_layers(const measure::NoiseReport& noise) {
  using Align = report::Table::Align;
  report::Table table({{"layer", Align::Left},
                       {"type", Align::Left},
                       {"exponent", Align::Right},
                       {"noise/signal", Align::Right},
                       {"of it alone", Align::Right}});
  for (const auto& layer : noise.layers) {
    if (layer.accumulated.signal <= 0) continue;
    table.add_row({layer.node, layer.op, fmt::format("{}", layer.exponent),
                   noise_percent(layer.accumulated.ratio()), noise_percent(layer.alone.ratio())});
  }
  fmt::print("{}", table.to_string());
}

void print_size(const espdl::SizeByKind& size) {
  fmt::print(
      "File: {} (filters {}, biases {}, tables {}, other parameters {}, test values {}, structure "
      "{})\n",
      report::human_bytes(size.total()), report::human_bytes(size.filters),
      report::human_bytes(size.biases), report::human_bytes(size.tables),
      report::human_bytes(size.parameters), report::human_bytes(size.test_values),
      report::human_bytes(size.structure));
}

/// What decides whether a board can run it.
void print_cost(const report::Cost& cost) {
  const cost::MemoryPlan& plan = cost.memory;
  fmt::print("On the chip: {} of RAM (activations {}, parameters {}), {}\n",
             report::human_bytes(plan.ram_bytes()),
             report::human_bytes(plan.psram_bytes + plan.internal_bytes),
             report::human_bytes(plan.parameter_copy_bytes), report::latency_text(cost.latency));
}

/// The line to type next: what is lost, where much is; how it does on other data; else onto the
/// board.
std::string next_step(const QuantizeCommand& command, const measure::NoiseReport& noise,
                      const std::optional<measure::Evaluation>& test, const fs::path& file) {
  constexpr double kMuchNoise = 0.05, kMuchLost = 0.01;
  const double ratio = test && test->noise ? test->noise->ratio() : noise.output.ratio();
  const bool lost = test && test->accuracy && test->reference_accuracy &&
                    *test->reference_accuracy - *test->accuracy > kMuchLost;
  if (ratio > kMuchNoise || lost)
    return fmt::format("espquant analyze {} --calib {}", shell_word(command.job.model.string()),
                       shell_word(command.job.calib.path.string()));
  if (!test)
    return fmt::format("espquant evaluate {} --data TEST_DATA --reference {}",
                       shell_word(file.string()), shell_word(command.job.model.string()));
  return fmt::format("espquant latency {}, then docs/to-the-board.md", shell_word(file.string()));
}

void print_equalization(const std::vector<strategy::EqualizationTrial>& trials) {
  using Align = report::Table::Align;
  report::Table table({{"equalization", Align::Left},
                       {"groups", Align::Right},
                       {"noise of ReLU6 to ReLU", Align::Right},
                       {"change by scaling", Align::Right},
                       {"simulated noise", Align::Right},
                       {"", Align::Left}});
  for (const auto& t : trials)
    table.add_row({std::string(name_of(t.way)), t.noise ? fmt::format("{}", t.groups) : "-",
                   t.caps_removed > 0 ? noise_percent(t.conversion_noise.ratio()) : "-",
                   t.groups > 0 ? fmt::format("{:.1e}", t.equalization_change) : "-",
                   t.noise ? noise_percent(t.noise->ratio()) : "-", t.kept ? "kept" : "undone"});
  fmt::print("{}\n", table.to_string());
}

void print_banks(const strategy::FoundBanks& found) {
  if (found.tried.empty()) {
    print_note(
        fmt::format("one bank of exponents: what decides it varies from {:.3g} to {:.3g} only "
                    "over the calibration samples, or another would lower no noise",
                    found.quietest, found.loudest));
    return;
  }
  using Align = report::Table::Align;
  report::Table table({{"bank for inputs up to", Align::Right},
                       {"samples", Align::Right},
                       {"noise of one bank", Align::Right},
                       {"of this bank", Align::Right},
                       {"", Align::Left}});
  for (const strategy::TriedBank& bank : found.tried)
    table.add_row({fmt::format("{:.3g}", bank.largest), fmt::format("{}", bank.samples),
                   noise_percent(bank.single.ratio()),
                   bank.obstacle.empty() ? noise_percent(bank.banked.ratio()) : "-",
                   bank.kept ? "kept" : "left out"});
  fmt::print("{}\n", table.to_string());
  if (found.gain)
    print_note(
        "the network is homogeneous: its banks are a gain, one for each octave, and change no "
        "constant");
  for (const strategy::TriedBank& bank : found.tried)
    if (!bank.obstacle.empty())
      print_note(fmt::format("no bank for inputs up to {:.3g}: {}", bank.largest, bank.obstacle));
}

void print_wide_layers(const strategy::QuantizedModel& result) {
  using Align = report::Table::Align;
  if (!result.wide_layers.empty()) {
    report::Table table({{"16 bits, in the order chosen", Align::Left},
                         {"alone at 8 bits", Align::Right},
                         {"file", Align::Right},
                         {"time", Align::Right}});
    for (const auto& c : result.wide_layers)
      table.add_row({c.layer + (c.narrow_weights.empty() ? "" : " (w8a16)"), noise_percent(c.noise),
                     fmt::format("{:+.1f} KiB", static_cast<double>(c.cost.bytes) / 1024),
                     fmt::format("{:+.3f} ms", c.cost.milliseconds)});
    fmt::print("{}\n", table.to_string());
  }
  if (!result.wide_weights.empty())
    fmt::print("Weights of 16 bits: {}\n\n", fmt::join(result.wide_weights, ", "));
  if (!result.goals_met) print_note("the goal is not met: no layer is left that would help");
  for (const std::string& layer : result.idle_layers)
    print_note(fmt::format("layer '{}' gains nothing at 16 bits", layer));
}

void run_quantize(const QuantizeCommand& command, Context& context) {
  const bool quiet = context.quiet || command.json;
  const job::Quantized quantized = job::quantize(job_of(command), print_note, show_stages(quiet));
  OutputFiles output;
  const std::vector<fs::path> files =
      job::add_files(output, quantized,
                     job::stem_of(command.out, command.files_name(), quantized.made.recipe.name),
                     command.compile_request);
  if (command.report.wanted())
    add_pages(output, command.report,
              page::page_of_quantized(
                  {"quantize", command.job.model.filename().string(), context.command_line},
                  quantized, files.front()));
  output.commit();

  const strategy::QuantizedModel& result = quantized.made;
  const std::optional<measure::Evaluation>& test = quantized.test;
  print_warnings(result.warnings);
  print_notes(job::notes_of(result));
  if (command.json) {
    fmt::print("{}", report::json_text(job::json_of(quantized, files)));
    return;
  }
  if (context.quiet) return;
  const job::Data& data = quantized.calibration;
  print_layers(result.noise);
  fmt::print("\n");
  if (!result.equalization.empty()) print_equalization(result.equalization);
  print_wide_layers(result);
  if (quantized.banks) print_banks(*quantized.banks);
  if (result.finetuned)
    fmt::print("Training: {} of noise on held-out samples became {}\n",
               noise_percent(result.finetuned->first), noise_percent(result.finetuned->second));
  fmt::print("{} for {}, calibrated on {} samples\n", result.recipe.name, quantized.target->name,
             data.chosen.size());
  if (data.dataset->holds_pictures()) fmt::print("Pictures: {}\n", data::describe(data.preprocess));
  fmt::print("Noise to signal at the output, simulated: {} ({} calibration samples)\n",
             job::noise_text(result.noise.output), result.noise.samples);
  if (test) {
    if (test->noise)
      fmt::print("On {} test samples: noise to signal {}", test->samples,
                 job::noise_text(*test->noise));
    if (test->accuracy)
      fmt::print(", accuracy {:.2f} % (float {:.2f} %)", 100 * *test->accuracy,
                 100 * *test->reference_accuracy);
    fmt::print("\n");
  }
  const std::string by_output = job::noise_by_output(quantized.noise());
  if (!by_output.empty()) fmt::print("\n{}\n", by_output);
  print_size(quantized.size);
  print_cost(quantized.cost);
  std::string times;
  double total = 0;
  for (const auto& stage : result.stages) {
    times += fmt::format("{}{} {:.2f} s", times.empty() ? "" : ", ", stage.name, stage.seconds);
    total += stage.seconds;
  }
  fmt::print("Time: {:.2f} s ({})\n", total, times);
  for (const auto& file : files) fmt::print("Wrote {}\n", file.string());
  print_pages(command.report);
  fmt::print("Next: {}\n", next_step(command, result.noise, test, files.front()));
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto command = std::make_shared<QuantizeCommand>();
  CLI::App* sub =
      app.add_subcommand("quantize", "Turn an ONNX network and calibration data into an .espdl");
  add_network(*sub, command->job.model);
  add_calib(*sub, command->job.calib.path)->required();
  add_data(*sub, command->data,
           "Data on which the result is measured, with labels or without (default: the "
           "calibration data)");
  add_count(*sub, command->count, "all of --data, and 32 for the noise of each layer");
  sub->add_option("--report-samples", command->report_samples)
      ->check(whole_number(1))
      ->group("");  // of an earlier version
  add_new_target(*sub, command->job.target, "a recipe");
  add_release(*sub, command->job.recipe.espdl, "what the recipe says, else the newest");
  add_out_folder(*sub, command->out);
  add_name(*sub, command->name);
  add_preprocess(*sub, command->job.calib, "scaled to 0..1, stretched to the input's size");
  add_network_options(*sub, command->job.network);
  add_cut_tail(*sub, command->job.network);
  add_classes(*sub, command->job.calib);
  add_recipe_options(*sub, command->job.recipe);
  add_time(
      *sub, [command](double seconds) { command->job.search_seconds = seconds; },
      "Time for the search of mixed");
  add_board(*sub, command->job.board);
  add_fit(*sub, command->job.fit);
  sub->add_flag_callback(
      "--no-test-values", [command] { command->job.test_values = false; },
      "Leave test values out of the file");
  add_compile_request_flag(*sub, command->compile_request);
  add_report(*sub, command->report);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(
      preprocess_help() +
      "Examples:\n"
      "  espquant quantize model.onnx --calib images/ --target esp32s3 --out out/\n"
      "  espquant quantize model.onnx --calib calib.npz --data test.npz --target esp32p4\n"
      "  espquant quantize model.onnx --calib images/ --recipe balanced --report page.html\n"
      "  espquant quantize model.onnx --calib images/ --recipe mixed --max-16bit 3\n"
      "  espquant quantize model.onnx --calib images/ --preprocess color=gray mean=0.5 std=0.5\n");
  sub->callback([command, &context] { run_quantize(*command, context); });
}

}  // namespace espquant::cli
