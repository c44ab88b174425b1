#include "cli/analyze_network.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/file.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/quantized_files.h"
#include "job/data_doubts.h"

namespace espquant::cli {
namespace {

// As `quantize` reports noise: the ratios of a few dozen samples differ by some percent.
constexpr std::int64_t kNetworkSamples = 32;

strategy::QuantizedModel quantize(const NetworkAnalysis& command, Graph imported,
                                  const job::Data& data, recipe::Recipe recipe,
                                  const Target& target, bool quiet) {
  strategy::QuantizeOptions options;
  options.target = &target;
  options.report_samples = 0;
  options.test_values = false;
  if (recipe.mixed.accuracy_within) options.labels = data.labels();
  options.recipe = std::move(recipe);
  std::unique_ptr<Progress> bar;
  std::string shown;
  const auto progress = [&](std::string_view stage, std::int64_t done, std::int64_t total) {
    if (!bar || stage != shown || (done <= 1 && total > 0))
      bar = std::make_unique<Progress>(stage, total, quiet);
    shown = stage;
    bar->update(done);
  };
  try {
    return strategy::quantize_model(std::move(imported), data.source(), options, progress);
  } catch (Error& error) {
    throw job::located(error, command.model, command.recipe);
  }
}

}  // namespace

void analyze_network(const NetworkAnalysis& command, Context& context) {
  if (command.calib.path.empty())
    throw Error(ErrorCode::Usage, "an .onnx is quantized first, which needs calibration data")
        .file(command.model.string())
        .remedy("Add --calib DATA: .npz, .npy, or a folder of images");
  recipe::Recipe recipe = job::recipe_of(command.recipe);
  const Target& target = job::target_for(command.target, recipe, print_note);
  Graph imported =
      job::import_network(command.model, command.network, command.calib, target, print_note);
  recipe.target = std::string(target.name);
  recipe.espdl = std::string(target.release.version);
  job::DataOptions calib = command.calib;
  calib.count = recipe.calibration.samples;
  calib.seed = recipe.calibration.seed;
  const job::Data data = job::open_data_for(calib, imported, print_note);
  job::question_calibration(data, calib, imported);
  std::optional<job::Data> other;
  if (!command.data.empty()) {
    job::DataOptions options = command.calib;
    options.path = command.data;
    other = job::open_data(options, imported, print_note);
    job::question_data(*other, options, imported);
  }
  const bool quiet = context.quiet || command.json;
  const strategy::QuantizedModel made =
      quantize(command, std::move(imported), data, std::move(recipe), target, quiet);
  print_warnings(made.warnings);
  print_notes(job::notes_of(made));
  const calib::SampleSource source = other ? other->source() : data.source();
  const auto samples =
      strategy::evenly_spread(source.count, command.count > 0 ? command.count : kNetworkSamples);
  const analysis::Analysis analysis = analysis::analyze(made, target, source, samples);
  if (!command.csv.empty()) {
    OutputFiles files;
    files.add(command.csv, job::analysis_csv(analysis, command.view));
    files.commit();
  }
  if (command.json) {
    fmt::print("{}", job::analysis_json(analysis, made.recipe, target, command.view));
    return;
  }
  if (context.quiet) return;
  fmt::print("{} for {}, calibrated on {} samples\n\n{}", made.recipe.name, target.name,
             data.chosen.size(), job::analysis_text(analysis, command.view));
}

}  // namespace espquant::cli
