#include "job/quantize.h"

#include <chrono>

#include "base/seconds.h"
#include "job/data_doubts.h"
#include "job/quantized_files.h"
#include "strategy/fit_schedule.h"
#include "strategy/lost_outputs.h"

namespace espquant::job {
namespace {

using Clock = std::chrono::steady_clock;

/// Warns where much is lost.
measure::Evaluation evaluate_on(const Data& data, strategy::QuantizedModel& made,
                                const Target& target) {
  const sim::Program program(made.model, target);
  const ops::Executor reference(made.network, {.observe_all = false});
  measure::Evaluation result =
      measure::evaluate(program, made.network, &reference, data.source(), data.labels());
  if (result.noise)
    if (const auto warning = strategy::warning_of(result.noise->ratio()))
      made.warnings.push_back(*warning);
  return result;
}

}  // namespace

Prepared prepare(const std::filesystem::path& model, const NetworkOptions& network,
                 const DataOptions& calib, const std::string& target, const RecipeOptions& recipe,
                 const Tell& tell) {
  Prepared prepared;
  prepared.recipe = recipe_of(recipe);
  const Target& chip = target_for(target, prepared.recipe, tell);
  prepared.target = &chip;
  const auto begin = Clock::now();
  prepared.imported = import_network(model, network, calib, chip, tell);
  prepared.import_seconds = seconds_since(begin);
  prepared.recipe.target = std::string(chip.name);
  prepared.recipe.espdl = std::string(chip.release.version);
  DataOptions options = calib;
  options.count = prepared.recipe.calibration.samples;
  options.seed = prepared.recipe.calibration.seed;
  prepared.calibration = open_data_for(options, prepared.imported, tell);
  question_calibration(prepared.calibration, options, prepared.imported);
  return prepared;
}

strategy::QuantizedModel follow_recipe(Prepared& prepared, strategy::QuantizeOptions& options,
                                       const std::filesystem::path& model,
                                       const RecipeOptions& recipe,
                                       const strategy::StageProgress& progress) try {
  options.target = prepared.target;
  if (prepared.recipe.mixed.accuracy_within) options.labels = prepared.calibration.labels();
  options.recipe = std::move(prepared.recipe);
  return strategy::quantize_model(std::move(prepared.imported), prepared.calibration.source(),
                                  options, progress);
} catch (Error& error) {
  throw located(error, model, recipe);
}

const measure::OutputNoise& Quantized::noise() const {
  return test && test->noise ? *test->noise : made.noise.output;
}

Quantized quantize(const QuantizeJob& job, const Tell& tell, strategy::StageProgress progress) {
  return quantize(job, prepare(job.model, job.network, job.calib, job.target, job.recipe, tell),
                  tell, std::move(progress));
}

Quantized quantize(const QuantizeJob& job, Prepared prepared, const Tell& tell,
                   strategy::StageProgress progress) {
  const Target& target = *prepared.target;
  const Data& data = prepared.calibration;
  strategy::QuantizeOptions options;
  options.latency = job.board.latency_for(target, tell);
  options.report_samples = job.report_samples;
  options.search_seconds = job.search_seconds;
  options.test_values = job.test_values;
  options.metadata = metadata_of(data.preprocess, prepared.recipe, class_names(job.calib));
  options.metadata.insert(options.metadata.end(), job.metadata.begin(), job.metadata.end());
  options.fit = job.fit;
  if (job.fit) strategy::require_no_banks(prepared.recipe);
  strategy::QuantizedModel made = follow_recipe(prepared, options, job.model, job.recipe, progress);
  made.stages.insert(made.stages.begin(), {"import", prepared.import_seconds});
  std::optional<strategy::FoundBanks> banks;
  if (made.recipe.dynamic.enabled) {
    const auto begin = Clock::now();
    banks = strategy::find_banks(made, target, data.source(),
                                 strategy::bank_options_of(made.recipe.dynamic), progress);
    made.stages.push_back({"banks", seconds_since(begin)});
  }
  progress = {};
  std::optional<measure::Evaluation> test;
  std::optional<Data> test_data;
  if (job.test) {
    const auto begin = Clock::now();
    test_data = open_data(*job.test, made.network, tell);
    question_data(*test_data, *job.test, made.network);
    test = evaluate_on(*test_data, made, target);
    made.stages.push_back({"evaluate", seconds_since(begin)});
  }
  if (job.fit) {
    const auto begin = Clock::now();
    strategy::fit_schedule(made.model, target, options.latency, *job.fit);
    made.stages.push_back({"fit", seconds_since(begin)});
  }
  const auto begin = Clock::now();
  strategy::SoundFile file = strategy::pass_last_gate(made, target);
  made.stages.push_back({"check", seconds_since(begin)});
  const espdl::SizeByKind size = espdl::size_by_kind(made.model, file.bytes().size());
  report::Cost cost = report::cost_of(made.model, target, {}, options.latency);
  return {&target,
          std::move(prepared.calibration),
          std::move(made),
          std::move(test),
          std::move(test_data),
          std::move(file),
          size,
          std::move(cost),
          std::move(banks)};
}

std::vector<std::filesystem::path> add_files(OutputFiles& output, const Quantized& quantized,
                                             const std::filesystem::path& stem,
                                             bool compile_request) {
  std::vector<std::filesystem::path> files =
      add_quantized(output, stem, quantized.made.model, *quantized.target, quantized.file,
                    quantized.calibration.preprocess, compile_request);
  if (quantized.banks)
    add_banks(output, quantized.banks->banks, quantized.made.model, *quantized.target,
              quantized.file.bytes(), files);
  return files;
}

}  // namespace espquant::job
