#include "job/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "job/quantized_files.h"

namespace espquant::job {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// Recipes that calibrate on the same samples.
struct CalibrationGroup {
  recipe::Recipe::Calibration calibration;
  Data data;
  std::unique_ptr<strategy::Preparation> preparation;
};

std::vector<recipe::Recipe> recipes_of(const CompareJob& job) {
  std::vector<recipe::Recipe> recipes;
  for (const RecipeOptions& options : job.recipes) {
    recipes.push_back(recipe_of(options));
    const std::string& called = recipes.back().name;
    if (std::any_of(recipes.begin(), recipes.end() - 1,
                    [&](const recipe::Recipe& r) { return r.name == called; }))
      throw Error(ErrorCode::Usage, fmt::format("two recipes are called '{}'", called))
          .remedy("Their files would have the same names: give one another 'name'");
  }
  if (recipes.empty()) throw Error(ErrorCode::Usage, "there is no recipe to compare");
  return recipes;
}

const Target& common_target(const std::string& given, const std::vector<recipe::Recipe>& recipes,
                            const Tell& tell) {
  const Target& first = target_for(given, recipes.front(), tell);
  for (const recipe::Recipe& recipe : recipes)
    if (&target_for(given, recipe, tell) != &first)
      throw Error(ErrorCode::Usage,
                  fmt::format("the recipes '{}' and '{}' are for different chips or releases",
                              recipes.front().name, recipe.name))
          .remedy("Give the ones to compare on as --target and --espdl");
  return first;
}

CalibrationGroup& group_for(const recipe::Recipe& recipe, bool labels, const CompareJob& job,
                            const Tell& tell, Graph& imported,
                            std::deque<CalibrationGroup>& groups) {
  for (CalibrationGroup& known : groups)
    if (known.calibration.samples == recipe.calibration.samples &&
        known.calibration.seed == recipe.calibration.seed)
      return known;
  DataOptions options = job.calib;
  options.count = recipe.calibration.samples;
  options.seed = recipe.calibration.seed;
  CalibrationGroup& group = groups.emplace_back();
  group.calibration = recipe.calibration;
  group.data = open_data_for(options, imported, tell);
  question_calibration(group.data, options, imported);
  group.preparation = std::make_unique<strategy::Preparation>(
      imported, group.data.source(), labels ? group.data.labels() : std::vector<std::int64_t>{});
  return group;
}

std::vector<strategy::Contender> contenders_of(const CompareJob& job, const Tell& tell,
                                               std::vector<recipe::Recipe> recipes,
                                               const Target& target, Graph& imported,
                                               std::deque<CalibrationGroup>& groups) {
  const bool labels = std::any_of(recipes.begin(), recipes.end(), [](const recipe::Recipe& r) {
    return r.mixed.accuracy_within.has_value();
  });
  const cost::LatencyOptions latency = job.board.latency_for(target, tell);
  const std::vector<std::string> classes = class_names(job.calib);
  std::vector<strategy::Contender> contenders;
  for (recipe::Recipe& recipe : recipes) {
    CalibrationGroup& group = group_for(recipe, labels, job, tell, imported, groups);
    strategy::Contender& contender = contenders.emplace_back();
    contender.shared = group.preparation.get();
    contender.options.target = &target;
    contender.options.latency = latency;
    contender.options.fit = job.fit;
    contender.options.search_seconds = job.search_seconds;
    contender.options.metadata = metadata_of(group.data.preprocess, recipe, classes);
    recipe.target = std::string(target.name);
    recipe.espdl = std::string(target.release.version);
    contender.options.recipe = std::move(recipe);
  }
  return contenders;
}

ordered_json compare_json_of(const strategy::Compared& r, const std::vector<fs::path>& files,
                             const fs::path& dir) {
  ordered_json j{{"recipe", r.recipe.name}};
  if (!r.refusal.empty()) {
    j["refused"] = r.refusal;
    return j;
  }
  for (const fs::path& file : files) j["files"].push_back(file.lexically_relative(dir).string());
  j["unbeaten"] = r.unbeaten;
  j["file_bytes"] = r.file->bytes().size();
  if (r.banks) {
    j["banks"] = r.banks->banks.banks.size();
    j["banks_bytes"] = r.banks_bytes;
  }
  j["activation_bytes"] = r.merits.activation_bytes;
  j["layers"] = r.nodes;
  j["layers_16bit"] = r.wide_nodes;
  j["layers_w8a16"] = r.narrow_weights;
  add_noise(j, *r.evaluation.noise);
  if (r.evaluation.accuracy) j["accuracy"] = *r.evaluation.accuracy;
  if (r.evaluation.agreement) j["agreement"] = *r.evaluation.agreement;
  j["milliseconds"] = r.merits.milliseconds;
  if (!r.warnings.empty()) j["warnings"] = r.warnings;
  return j;
}

void refuse_if_nothing_is_left(const std::vector<strategy::Compared>& results,
                               const fs::path& model) {
  std::string reasons;
  for (const strategy::Compared& r : results) {
    if (r.refusal.empty()) return;
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", r.recipe.name, r.refusal);
  }
  throw Error(ErrorCode::Unsupported, "all recipes are refused: " + reasons).file(model.string());
}

}  // namespace

Comparison compare(const CompareJob& job, const Tell& tell,
                   const strategy::StageProgress& progress) {
  std::vector<recipe::Recipe> recipes = recipes_of(job);
  const Target& target = common_target(job.target, recipes, tell);
  Graph imported = import_network(job.model, job.network, job.calib, target, tell);
  std::deque<CalibrationGroup> groups;
  const std::vector<strategy::Contender> contenders =
      contenders_of(job, tell, std::move(recipes), target, imported, groups);
  Comparison comparison;
  if (job.test) {
    comparison.test = open_data(*job.test, imported, tell);
    question_data(*comparison.test, *job.test, imported);
  }
  const Data& measured = comparison.test ? *comparison.test : groups.front().data;
  strategy::CompareVisitor visit;
  if (job.visit)
    visit = [&](std::size_t i, const strategy::QuantizedModel& made) {
      job.visit(made, target, contenders[i].shared->source());
    };
  comparison.results =
      strategy::compare_recipes(contenders, measured.source(), measured.labels(), progress, visit);
  refuse_if_nothing_is_left(comparison.results, job.model);
  comparison.target = &target;
  comparison.calibration = std::move(groups.front().data);
  return comparison;
}

std::vector<std::vector<fs::path>> add_files(OutputFiles& output, const Comparison& comparison,
                                             const fs::path& folder, const std::string& name,
                                             bool compile_request) {
  std::vector<std::vector<fs::path>> files;
  for (const strategy::Compared& r : comparison.results) {
    files.emplace_back();
    if (!r.refusal.empty()) continue;
    files.back() =
        add_quantized(output, stem_of(folder, name, r.recipe.name), r.model, *comparison.target,
                      *r.file, comparison.calibration.preprocess, compile_request);
    if (r.banks)
      add_banks(output, r.banks->banks, r.model, *comparison.target, r.file->bytes(), files.back());
  }
  return files;
}

ordered_json json_of(const Comparison& comparison, const std::string& name,
                     const std::vector<std::vector<fs::path>>& files, const fs::path& folder) {
  ordered_json j{{"network", name},
                 {"target", comparison.target->name},
                 {"espdl", comparison.target->release.version},
                 {"measured_on", comparison.test ? "test" : "calibration"}};
  for (const strategy::Compared& r : comparison.results) {
    if (!r.refusal.empty()) continue;
    j["samples"] = r.evaluation.samples;
    if (r.evaluation.reference_accuracy) j["float_accuracy"] = *r.evaluation.reference_accuracy;
    break;
  }
  j["recipes"] = ordered_json::array();
  for (std::size_t i = 0; i < comparison.results.size(); ++i)
    j["recipes"].push_back(compare_json_of(comparison.results[i], files[i], folder));
  return j;
}

}  // namespace espquant::job
