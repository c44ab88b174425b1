#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <chrono>
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
#include "cli/validators.h"
#include "espdl/statistics.h"
#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "job/quantized_files.h"
#include "measure/evaluate.h"
#include "report/cost_table.h"
#include "report/table.h"
#include "strategy/lost_outputs.h"
#include "strategy/quantize_model.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeCommand {
  fs::path model;
  job::NetworkOptions network;
  job::DataOptions calib;
  fs::path data;
  fs::path out = ".";
  std::string target;
  std::string name;
  job::RecipeOptions recipe;
  job::BoardOptions board;
  bool no_test_values = false;
  bool compile_request = true;
  std::int64_t count = 0, report_samples = 0;
  bool json = false;
};

strategy::QuantizeOptions options_of(const QuantizeCommand& command, const job::Data& data,
                                     recipe::Recipe recipe, const Target& target) {
  strategy::QuantizeOptions options;
  options.target = &target;
  options.latency = command.board.latency_for(target, print_note);
  constexpr std::int64_t kReportSamples = 32;
  options.report_samples = command.report_samples > 0 ? command.report_samples
                           : command.count > 0        ? command.count
                                                      : kReportSamples;
  options.test_values = !command.no_test_values;
  options.metadata = job::metadata_of(data.preprocess, recipe, job::class_names(command.calib));
  if (recipe.mixed.accuracy_within) options.labels = data.labels();
  options.recipe = std::move(recipe);
  return options;
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
    return fmt::format("espquant analyze {} --calib {}", shell_word(command.model.string()),
                       shell_word(command.calib.path.string()));
  if (!test)
    return fmt::format("espquant evaluate {} --data TEST_DATA --reference {}",
                       shell_word(file.string()), shell_word(command.model.string()));
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

nlohmann::ordered_json effects_json(const std::vector<strategy::LayerEffect>& effects) {
  auto j = nlohmann::ordered_json::array();
  for (const auto& e : effects) {
    j.push_back({{"layer", e.layer},
                 {"noise_to_signal_alone", e.noise},
                 {"bytes", e.cost.bytes},
                 {"milliseconds", e.cost.milliseconds}});
    if (!e.narrow_weights.empty()) j.back()["w8a16"] = true;
    if (!e.weight_noise) continue;
    j.back()["noise_to_signal_w8a16"] = *e.weight_noise;
    j.back()["bytes_w8a16"] = e.narrow_cost.bytes;
    j.back()["milliseconds_w8a16"] = e.narrow_cost.milliseconds;
  }
  return j;
}

nlohmann::ordered_json quantize_json_of(const strategy::QuantizedModel& result,
                                        const Target& target, const std::vector<fs::path>& files,
                                        const std::optional<measure::Evaluation>& test,
                                        const espdl::SizeByKind& size, const report::Cost& cost,
                                        const job::Data& data) {
  nlohmann::ordered_json j;
  for (const auto& f : files) j["files"].push_back(f.string());
  j["target"] = target.name;
  j["espdl"] = target.release.version;
  j["strategy"] = result.recipe.name;
  for (const auto& s : result.stages)
    j["stages"].push_back({{"name", s.name}, {"seconds", s.seconds}});
  job::add_noise(j, test && test->noise ? *test->noise : result.noise.output);
  j["noise_samples"] = test ? test->samples : result.noise.samples;
  j["size"] = {{"total", size.total()},         {"filters", size.filters},
               {"biases", size.biases},         {"tables", size.tables},
               {"parameters", size.parameters}, {"test_values", size.test_values},
               {"structure", size.structure}};
  j["ram"] = cost.memory.ram_bytes();
  j["milliseconds"] = cost.latency.milliseconds;
  if (data.dataset->holds_pictures())
    for (const auto& [key, value] : data::to_settings(data.preprocess))
      j["preprocess"][key] = value;
  if (test && test->accuracy) {
    j["accuracy"] = *test->accuracy;
    j["reference_accuracy"] = *test->reference_accuracy;
  }
  if (test && test->agreement) j["agreement"] = *test->agreement;
  j["layers"] = nlohmann::ordered_json::array();
  for (const auto& l : result.noise.layers)
    j["layers"].push_back({{"name", l.node},
                           {"type", l.op},
                           {"tensor", l.tensor},
                           {"dtype", to_string(l.dtype)},
                           {"exponent", l.exponent},
                           {"noise_to_signal", l.accumulated.ratio()},
                           {"noise_to_signal_alone", l.alone.ratio()}});
  if (!result.equalization.empty()) {
    for (const auto& t : result.equalization) {
      j["equalization"].push_back({{"variant", name_of(t.way)},
                                   {"caps_removed", t.caps_removed},
                                   {"conversion_noise_to_signal", t.conversion_noise.ratio()},
                                   {"kept", t.kept}});
      if (!t.noise) continue;
      auto& equalized = j["equalization"].back();
      equalized["groups"] = t.groups;
      equalized["relative_change"] = t.equalization_change;
      equalized["noise_to_signal"] = t.noise->ratio();
    }
  }
  if (!result.wide_weights.empty()) j["wide_weights"] = result.wide_weights;
  if (result.recipe.mixed.enabled) {
    j["wide_layers"] = effects_json(result.wide_layers);
    j["layer_effects"] = effects_json(result.layer_effects);
    j["idle_layers"] = result.idle_layers;
    j["goals_met"] = result.goals_met;
  }
  j["warnings"] = result.warnings;
  j["notes"] = job::notes_of(result);
  j["recipe"] = nlohmann::ordered_json::parse(recipe::to_json(result.recipe));
  return j;
}

void run_quantize(const QuantizeCommand& command, Context& context) {
  const bool quiet = context.quiet || command.json;
  recipe::Recipe recipe = job::recipe_of(command.recipe);
  const Target& target = job::target_for(command.target, recipe, print_note);
  const auto begin = std::chrono::steady_clock::now();
  Graph imported =
      job::import_network(command.model, command.network, command.calib, target, print_note);
  const double import_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  recipe.target = std::string(target.name);
  recipe.espdl = std::string(target.release.version);
  job::DataOptions calib = command.calib;
  calib.count = recipe.calibration.samples;
  calib.seed = recipe.calibration.seed;
  const job::Data data = job::open_data_for(calib, imported, print_note);
  job::question_calibration(data, calib, imported);
  strategy::StageProgress progress = show_stages(quiet);
  const strategy::QuantizeOptions options = options_of(command, data, std::move(recipe), target);
  strategy::QuantizedModel result = [&] {
    try {
      return strategy::quantize_model(std::move(imported), data.source(), options, progress);
    } catch (Error& error) {
      throw job::located(error, command.model, command.recipe);
    }
  }();
  progress = {};
  result.stages.insert(result.stages.begin(), {"import", import_seconds});

  std::optional<measure::Evaluation> test;
  const auto timed = [&](const char* stage, auto&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    result.stages.push_back(
        {stage, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()});
  };
  if (!command.data.empty()) {
    timed("evaluate", [&] {
      job::DataOptions test_options = command.calib;
      test_options.path = command.data;
      test_options.count = command.count;
      test_options.seed = 0;
      const job::Data test_data = job::open_data(test_options, result.network, print_note);
      job::question_data(test_data, test_options, result.network);
      const sim::Program program(result.model, target);
      const ops::Executor reference(result.network, {.observe_all = false});
      test = measure::evaluate(program, result.network, &reference, test_data.source(),
                               test_data.labels());
    });
    if (test->noise)
      if (const auto warning = strategy::warning_of(test->noise->ratio()))
        result.warnings.push_back(*warning);
  }
  std::vector<fs::path> files;
  espdl::SizeByKind size;
  timed("write", [&] {
    const strategy::SoundFile file = strategy::pass_last_gate(result, target);
    size = espdl::size_by_kind(result.model, file.bytes().size());
    OutputFiles output;
    files = job::add_quantized(
        output, command.out, command.name.empty() ? command.model.stem().string() : command.name,
        result.recipe.name, result.model, target, file, data.preprocess, command.compile_request);
    output.commit();
  });

  print_warnings(result.warnings);
  print_notes(job::notes_of(result));
  const report::Cost cost = report::cost_of(result.model, target, {}, options.latency);
  if (command.json) {
    fmt::print("{}\n", quantize_json_of(result, target, files, test, size, cost, data).dump(2));
    return;
  }
  if (context.quiet) return;
  print_layers(result.noise);
  fmt::print("\n");
  if (!result.equalization.empty()) print_equalization(result.equalization);
  print_wide_layers(result);
  fmt::print("{} for {}, calibrated on {} samples\n", result.recipe.name, target.name,
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
  const std::string by_output =
      job::noise_by_output(test && test->noise ? *test->noise : result.noise.output);
  if (!by_output.empty()) fmt::print("\n{}\n", by_output);
  print_size(size);
  print_cost(cost);
  std::string times;
  double total = 0;
  for (const auto& stage : result.stages) {
    times += fmt::format("{}{} {:.2f} s", times.empty() ? "" : ", ", stage.name, stage.seconds);
    total += stage.seconds;
  }
  fmt::print("Time: {:.2f} s ({})\n", total, times);
  for (const auto& file : files) fmt::print("Wrote {}\n", file.string());
  fmt::print("Next: {}\n", next_step(command, result.noise, test, files.front()));
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto command = std::make_shared<QuantizeCommand>();
  CLI::App* sub =
      app.add_subcommand("quantize", "Turn an ONNX network and calibration data into an .espdl");
  add_network(*sub, command->model);
  add_calib(*sub, command->calib.path)->required();
  add_data(*sub, command->data,
           "Data on which the result is measured, with labels or without (default: the "
           "calibration data)");
  add_count(*sub, command->count, "all of --data, and 32 for the noise of each layer");
  sub->add_option("--report-samples", command->report_samples)
      ->check(whole_number(1))
      ->group("");  // of an earlier version
  add_new_target(*sub, command->target, "a recipe");
  add_release(*sub, command->recipe.espdl, "what the recipe says, else the newest");
  add_out_folder(*sub, command->out);
  add_name(*sub, command->name);
  add_preprocess(*sub, command->calib, "scaled to 0..1, stretched to the input's size");
  add_network_options(*sub, command->network);
  add_cut_tail(*sub, command->network);
  add_classes(*sub, command->calib);
  add_recipe_options(*sub, command->recipe);
  add_board(*sub, command->board);
  sub->add_flag("--no-test-values", command->no_test_values, "Leave test values out of the file");
  add_compile_request_flag(*sub, command->compile_request);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(
      preprocess_help() +
      "Examples:\n"
      "  espquant quantize model.onnx --calib images/ --target esp32s3 --out out/\n"
      "  espquant quantize model.onnx --calib calib.npz --data test.npz --target esp32p4\n"
      "  espquant quantize model.onnx --calib images/ --recipe balanced\n"
      "  espquant quantize model.onnx --calib images/ --recipe mixed --max-16bit 3\n"
      "  espquant quantize model.onnx --calib images/ --preprocess color=gray mean=0.5 std=0.5\n");
  sub->callback([command, &context] { run_quantize(*command, context); });
}

}  // namespace espquant::cli
