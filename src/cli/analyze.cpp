#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/file.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network.h"
#include "cli/port_metadata.h"
#include "cli/progress.h"
#include "cli/saturation_report.h"

namespace espquant::cli {
namespace {

struct AnalyzeCommand {
  ModelFile file;
  DataOptions data;
  std::filesystem::path reference, csv;
  std::size_t rows = 20;
  bool json = false;
};

/// Saturation of a finished model: needs no recipe, only inputs.
void analyze_espdl(const AnalyzeCommand& command, Context& context) {
  const espdl::Model model = command.file.load();
  const sim::Program program(model, command.file.target_for(model));
  print_faults(program);
  const bool compared = !command.reference.empty();
  const Graph network = compared ? load_network(command.reference) : outline(model);
  std::unique_ptr<ops::Executor> reference;
  if (compared)
    reference =
        std::make_unique<ops::Executor>(network, ops::Executor::Options{.observe_all = false});
  const Data data = open_data(command.data, network, preprocess_settings(model));
  Progress bar("analyze", static_cast<std::int64_t>(data.chosen.size()),
               context.quiet || command.json);
  const strategy::SaturationReport report =
      strategy::measure_saturation(program, network, reference.get(), data.source(),
                                   [&](std::int64_t done, std::int64_t) { bar.update(done); });
  if (!command.csv.empty()) {
    OutputFiles files;
    files.add(command.csv, saturation_csv(report));
    files.commit();
  }
  if (command.json) {
    fmt::print("{}", saturation_json(report, program.target(), command.file.path.string()));
  } else if (!context.quiet) {
    fmt::print("{}", saturation_text(report, program.target(), command.rows));
  }
}

void run_analyze(const AnalyzeCommand& command, Context& context) {
  std::string extension = command.file.path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".onnx")
    throw Error(ErrorCode::Usage, "analyze takes a quantized model, not an .onnx")
        .file(command.file.path.string())
        .remedy("Quantize it first, and give the .espdl; the .onnx goes to --reference");
  analyze_espdl(command, context);
}

}  // namespace

void add_analyze(CLI::App& app, Context& context) {
  auto command = std::make_shared<AnalyzeCommand>();
  command->data.count = 100;
  CLI::App* sub = app.add_subcommand(
      "analyze", "Show, per layer, how near the chip's sums come to their limit, and what it does");
  add_model_file(*sub, command->file);
  sub->add_option("--data", command->data.path, "Inputs: .npz, .npy, or a folder of images")
      ->required();
  sub->add_option("--reference", command->reference, "The float network, .onnx, to compare with");
  sub->add_option("--count", command->data.count,
                  "Use at most this many samples, evenly spread (default: 100)")
      ->check(CLI::PositiveNumber);
  sub->add_option("--top", command->rows,
                  "Rows of the table, the worst first; 0: all (default: 20)");
  sub->add_option("--csv", command->csv, "Write all layers to this file");
  sub->add_option("--preprocess", command->data.preprocess,
                  "Preprocessing as key=value (default: what the .espdl says)");
  sub->add_option("--preprocess-file", command->data.preprocess_file,
                  "The same keys in a TOML file");
  add_target(*sub, command->file);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer("Example:\n  espquant analyze model.espdl --data test.npz --reference model.onnx\n");
  sub->callback([command, &context] { run_analyze(*command, context); });
}

}  // namespace espquant::cli
