#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "espdl/info.h"
#include "espdl/statistics.h"
#include "espdl/writer.h"
#include "onnx/import.h"
#include "ops/op.h"
#include "report/config_json.h"
#include "report/table.h"
#include "strategy/evaluate.h"
#include "strategy/quantize_model.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeCommand {
  fs::path model;
  DataOptions calib;
  fs::path test;
  fs::path out = ".";
  std::string target = "esp32s3";
  std::string name;
  int bits = 8;
  std::string granularity = "auto";
  std::string method = "auto";
  double percentile = quant::kDefaultPercentile;
  bool no_bias_correction = false, no_scaling = false, no_rounding = false, no_test_values = false;
  std::int64_t report_samples = 32;
  std::vector<std::string> disabled_passes;
  bool json = false;
};

constexpr std::string_view kStrategy = "int8";

std::string strategy_name(const QuantizeCommand& command) {
  return command.bits == 8 ? std::string(kStrategy) : "int16";
}

strategy::QuantizeOptions options_of(const QuantizeCommand& command,
                                     const data::Preprocess& preprocess) {
  strategy::QuantizeOptions options;
  options.settings.target = &find_target(command.target);
  options.settings.bits = command.bits;
  options.settings.per_channel_weights = command.granularity == "auto"
                                             ? options.settings.target->per_channel_weights
                                             : command.granularity == "channel";
  options.settings.bias_correction = !command.no_bias_correction;
  options.settings.method = quant::method_of(command.method);
  options.settings.percentile = command.percentile;
  options.settings.round_weights = !command.no_rounding;
  options.settings.scale_layers = !command.no_scaling;
  options.passes.disabled = command.disabled_passes;
  options.report_samples = command.report_samples;
  options.test_values = !command.no_test_values;
  options.metadata = data::to_settings(preprocess);
  options.metadata.emplace_back("espquant.strategy", strategy_name(command));
  return options;
}

std::string percent(double fraction) { return fmt::format("{:.3f} %", 100 * fraction); }

void print_layers(const strategy::NoiseReport& noise) {
  using Align = report::Table::Align;
  report::Table table({{"layer", Align::Left},
                       {"type", Align::Left},
                       {"exponent", Align::Right},
                       {"noise/signal", Align::Right},
                       {"of it alone", Align::Right}});
  for (const auto& layer : noise.layers) {
    if (layer.accumulated.signal <= 0) continue;
    table.add_row({layer.node, layer.op, fmt::format("{}", layer.exponent),
                   percent(layer.accumulated.ratio()), percent(layer.alone.ratio())});
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

nlohmann::ordered_json to_json(const QuantizeCommand& command,
                               const strategy::QuantizedModel& result,
                               const std::vector<fs::path>& files,
                               const std::optional<strategy::Evaluation>& test,
                               const espdl::SizeByKind& size) {
  nlohmann::ordered_json j;
  for (const auto& f : files) j["files"].push_back(f.string());
  j["target"] = find_target(command.target).name;
  j["strategy"] = strategy_name(command);
  for (const auto& s : result.stages)
    j["stages"].push_back({{"name", s.name}, {"seconds", s.seconds}});
  j["noise_to_signal"] = test && test->noise ? test->noise->ratio() : result.noise.output.ratio();
  j["noise_samples"] = test ? test->samples : result.noise.samples;
  j["size"] = {{"total", size.total()},         {"filters", size.filters},
               {"biases", size.biases},         {"tables", size.tables},
               {"parameters", size.parameters}, {"test_values", size.test_values},
               {"structure", size.structure}};
  if (test && test->accuracy) {
    j["accuracy"] = *test->accuracy;
    j["reference_accuracy"] = *test->reference_accuracy;
  }
  j["layers"] = nlohmann::ordered_json::array();
  for (const auto& l : result.noise.layers)
    j["layers"].push_back({{"name", l.node},
                           {"type", l.op},
                           {"tensor", l.tensor},
                           {"dtype", to_string(l.dtype)},
                           {"exponent", l.exponent},
                           {"noise_to_signal", l.accumulated.ratio()},
                           {"noise_to_signal_alone", l.alone.ratio()}});
  return j;
}

std::vector<fs::path> write_files(const QuantizeCommand& command, const espdl::Model& model,
                                  const Target& target, const std::vector<std::byte>& file) {
  const std::string base =
      fmt::format("{}_{}", command.name.empty() ? command.model.stem().string() : command.name,
                  strategy_name(command));
  const fs::path stem = command.out / base / base;
  const auto with = [&](const char* extension) { return fs::path(stem.string() + extension); };
  OutputFiles output;
  output.add(with(".espdl"), file);
  output.add(with(".info"), espdl::info_text(model));
  output.add(with(".json"), report::config_json(model, target));
  output.commit();
  return {with(".espdl"), with(".info"), with(".json")};
}

void run_quantize(const QuantizeCommand& command, Context& context) {
  const bool quiet = context.quiet || command.json;
  const auto begin = std::chrono::steady_clock::now();
  Graph imported = [&] {
    try {
      Graph graph = onnx::import_model(command.model);
      onnx::check_finite_constants(graph);
      ops::infer_shapes(graph);
      return graph;
    } catch (Error& error) {
      throw error.file(command.model.string());
    }
  }();
  const double import_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const Data data = open_data(command.calib, imported);
  std::unique_ptr<Progress> bar;
  const auto progress = [&](std::string_view stage, std::int64_t done, std::int64_t total) {
    if (done == 0)
      bar = std::make_unique<Progress>(stage, total, quiet);
    else if (done == 1)
      bar = std::make_unique<Progress>(stage, total, quiet);
    if (bar) bar->update(done);
  };
  const strategy::QuantizeOptions options = options_of(command, data.preprocess);
  strategy::QuantizedModel result = [&] {
    try {
      return strategy::quantize_model(std::move(imported), data.source(), options, progress);
    } catch (Error& error) {
      throw error.file(command.model.string());
    }
  }();
  bar.reset();
  result.stages.insert(result.stages.begin(), {"import", import_seconds});

  std::optional<strategy::Evaluation> test;
  const auto timed = [&](const char* stage, auto&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    result.stages.push_back(
        {stage, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()});
  };
  if (!command.test.empty()) {
    timed("evaluate", [&] {
      DataOptions test_options = command.calib;
      test_options.path = command.test;
      test_options.count = 0;
      const Data test_data = open_data(test_options, result.network);
      const sim::Program program(result.model, *options.settings.target);
      const ops::Executor reference(result.network, {.observe_all = false});
      test = strategy::evaluate(program, result.network, &reference, test_data.source(),
                                test_data.labels());
    });
  }
  std::vector<fs::path> files;
  espdl::SizeByKind size;
  timed("write", [&] {
    const std::vector<std::byte> file = espdl::write_model(result.model);
    size = espdl::size_by_kind(result.model, file.size());
    files = write_files(command, result.model, *options.settings.target, file);
  });

  for (const auto& warning : data.dataset->warnings())
    fmt::print(stderr, "espquant: note: {}\n", warning);
  for (const auto& fault : result.faults)
    fmt::print(
        stderr,
        "espquant: note: node '{}' meets the runtime's fault '{}' (docs/runtime-faults.md)\n",
        fault.node, fault.name);
  if (command.json) {
    fmt::print("{}\n", to_json(command, result, files, test, size).dump(2));
    return;
  }
  if (context.quiet) return;
  print_layers(result.noise);
  fmt::print("\n{} for {}, calibrated on {} samples\n", strategy_name(command),
             options.settings.target->name, data.chosen.size());
  fmt::print("Noise to signal at the output, simulated: {} ({} calibration samples)\n",
             percent(result.noise.output.ratio()), result.noise.samples);
  if (test) {
    if (test->noise)
      fmt::print("On {} test samples: noise to signal {}", test->samples,
                 percent(test->noise->ratio()));
    if (test->accuracy)
      fmt::print(", accuracy {:.2f} % (float {:.2f} %)", 100 * *test->accuracy,
                 100 * *test->reference_accuracy);
    fmt::print("\n");
  }
  print_size(size);
  std::string times;
  double total = 0;
  for (const auto& stage : result.stages) {
    times += fmt::format("{}{} {:.2f} s", times.empty() ? "" : ", ", stage.name, stage.seconds);
    total += stage.seconds;
  }
  fmt::print("Time: {:.2f} s ({})\n", total, times);
  for (const auto& file : files) fmt::print("Wrote {}\n", file.string());
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto command = std::make_shared<QuantizeCommand>();
  CLI::App* sub =
      app.add_subcommand("quantize", "Turn an ONNX network and calibration data into an .espdl");
  sub->add_option("model", command->model, "The network, .onnx")->required();
  sub->add_option("--calib", command->calib.path,
                  "Calibration data: .npz, .npy, or a folder of images")
      ->required();
  sub->add_option("--calib-count", command->calib.count,
                  "Use at most this many samples, evenly spread")
      ->check(CLI::PositiveNumber);
  sub->add_option("--test", command->test,
                  "Data on which the result is measured, with labels or without");
  sub->add_option("--target", command->target, "Chip: esp32s3, esp32p4, esp32, ...")
      ->capture_default_str();
  sub->add_option("--out", command->out, "Folder to write into")->capture_default_str();
  sub->add_option("--name", command->name, "Name of the files (default: that of the model)");
  sub->add_option("--bits", command->bits, "Width of weights and activations")
      ->check(CLI::IsMember({8, 16}))
      ->capture_default_str();
  sub->add_option("--method", command->method,
                  "How ranges are chosen: auto, minmax, percentile, entropy (kl), mse, sqnr")
      ->capture_default_str();
  sub->add_option("--percentile", command->percentile, "What --method percentile keeps, in %")
      ->check(CLI::Range(50.0, 100.0))
      ->capture_default_str();
  sub->add_option("--weights", command->granularity,
                  "One exponent per tensor or per channel; auto: what the chip can")
      ->check(CLI::IsMember({"auto", "tensor", "channel"}))
      ->capture_default_str();
  sub->add_option("--preprocess", command->calib.preprocess,
                  "Preprocessing of images as key=value: width, height, resize, color, scale, "
                  "mean, std, layout, ...");
  sub->add_option("--preprocess-file", command->calib.preprocess_file,
                  "The same keys in a TOML file");
  sub->add_option("--report-samples", command->report_samples,
                  "Samples on which the noise of each layer is measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--disable-pass", command->disabled_passes,
                  "Leave out a rewriting pass, by name");
  sub->add_flag("--no-bias-correction", command->no_bias_correction, "Leave biases as they are");
  sub->add_flag("--no-weight-rounding", command->no_rounding,
                "Round every weight to nearest instead of all of a filter together");
  sub->add_flag("--no-scaling", command->no_scaling, "Do not scale layers towards powers of two");
  sub->add_flag("--no-test-values", command->no_test_values, "Leave test values out of the file");
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(
      "Examples:\n"
      "  espquant quantize model.onnx --calib images/ --target esp32s3 --out out/\n"
      "  espquant quantize model.onnx --calib calib.npz --test test.npz --target esp32p4\n"
      "  espquant quantize model.onnx --calib images/ --preprocess color=gray mean=0.5 std=0.5\n");
  sub->callback([command, &context] { run_quantize(*command, context); });
}

}  // namespace espquant::cli
