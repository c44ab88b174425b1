#include "page/layers_part.h"

#include <nlohmann/json.hpp>

#include "analysis/value_pictures.h"
#include "job/analysis_report.h"
#include "page/answers_part.h"
#include "page/model_part.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kContainer = "EDL2";
// As quantize takes where nobody says how many.
constexpr std::int64_t kLayerSamples = 32;

Json layers_json(const strategy::QuantizedModel& made, const Target& target,
                 const calib::SampleSource& source, std::span<const std::int64_t> samples,
                 const analysis::Analysis& analysis) {
  job::AnalysisView view;
  view.order = job::AnalysisOrder::Network;
  Json layers = Json::parse(job::analysis_json(analysis, made.recipe, target, view))["layers"];
  const auto pictures = analysis::value_pictures(made, target, source, samples, analysis);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const analysis::ValuePicture& picture = pictures[i];
    layers[i]["histogram"] = {{"low", rounded(picture.low)},
                              {"high", rounded(picture.high)},
                              {"float", picture.network},
                              {"chip", picture.chip}};
    Json noise = Json::array();
    for (const measure::Noise& channel : picture.channels)
      noise.push_back(rounded(channel.ratio()));
    layers[i]["channel_noise"] = std::move(noise);
  }
  return layers;
}

Json model_of(const espdl::Model& model, const Target& target, const std::string& file,
              std::size_t size, const report::Cost& cost) {
  return model_part(
      model, {file, file.empty() ? "not written" : kContainer, size, std::string(target.name)},
      target, &cost);
}

/// On the samples that were analyzed.
void add_test_answers(Json& page, Json& model, const job::Analyzed& analyzed) {
  const strategy::QuantizedModel& made = analyzed.made;
  const job::Data& data = *analyzed.test;
  const std::vector<std::int64_t> all_labels = data.labels();
  std::vector<std::int64_t> labels;
  std::vector<std::size_t> samples;
  for (const std::int64_t s : analyzed.samples) {
    samples.push_back(data.chosen[static_cast<std::size_t>(s)]);
    if (!all_labels.empty()) labels.push_back(all_labels[static_cast<std::size_t>(s)]);
  }
  const calib::SampleSource source{
      static_cast<std::int64_t>(samples.size()),
      [&](std::int64_t i) { return data.dataset->sample(samples[static_cast<std::size_t>(i)]); }};
  const sim::Program program(made.model, *analyzed.target);
  const ops::Executor reference(made.network, {.observe_all = false});
  add_evaluation(page, model, measure::evaluate(program, made.network, &reference, source, labels),
                 {*data.dataset, samples, data.class_count, "test"}, made.model);
}

}  // namespace

Json page_of_quantized(const Origin& origin, const job::Quantized& quantized,
                       const std::filesystem::path& file) {
  const strategy::QuantizedModel& made = quantized.made;
  const Target& target = *quantized.target;
  Json model =
      model_of(made.model, target, file.string(), quantized.file.bytes().size(), quantized.cost);
  model["recipe"] = made.recipe.name;
  const bool tested = quantized.test && quantized.test->noise;
  model["noise"] = quantized.noise().ratio();
  model["noise_samples"] = tested ? quantized.test->samples : made.noise.samples;
  model["noise_on"] = tested ? "test" : "calibration";
  Json page = page_of(origin);
  if (quantized.test)
    add_evaluation(page, model, *quantized.test, answered(*quantized.test_data, "test"),
                   made.model);
  model["warnings"] = made.warnings;
  model["notes"] = job::notes_of(made);
  const calib::SampleSource source = quantized.calibration.source();
  const auto samples = strategy::evenly_spread(source.count, made.noise.samples);
  model["layers"] =
      layers_json(made, target, source, samples, analysis::analyze(made, target, source, samples));
  page["models"].push_back(std::move(model));
  return page;
}

Json page_of_analyzed(const Origin& origin, const job::Analyzed& analyzed) {
  const strategy::QuantizedModel& made = analyzed.made;
  const Target& target = *analyzed.target;
  Json model = model_of(made.model, target, "", espdl::size_by_kind(made.model).total(),
                        report::cost_of(made.model, target));
  model["recipe"] = made.recipe.name;
  model["noise"] = analyzed.analysis.output.ratio();
  model["noise_samples"] = analyzed.analysis.samples;
  model["noise_on"] = analyzed.test ? "test" : "calibration";
  model["warnings"] = made.warnings;
  model["notes"] = job::notes_of(made);
  model["layers"] =
      layers_json(made, target, analyzed.source(), analyzed.samples, analyzed.analysis);
  Json page = page_of(origin);
  if (analyzed.test) add_test_answers(page, model, analyzed);
  page["models"].push_back(std::move(model));
  return page;
}

Json layers_of(const strategy::QuantizedModel& made, const Target& target,
               const calib::SampleSource& samples) {
  const auto few = strategy::evenly_spread(samples.count, kLayerSamples);
  return layers_json(made, target, samples, few, analysis::analyze(made, target, samples, few));
}

Json page_of_comparison(const Origin& origin, const job::Comparison& comparison,
                        const std::vector<std::vector<std::filesystem::path>>& files,
                        std::span<const Json> layers) {
  const Target& target = *comparison.target;
  const AnsweredData data = comparison.test ? answered(*comparison.test, "test")
                                            : answered(comparison.calibration, "calibration");
  Json page = page_of(origin);
  page["refused"] = Json::array();
  for (std::size_t i = 0; i < comparison.results.size(); ++i) {
    const strategy::Compared& result = comparison.results[i];
    if (!result.refusal.empty()) {
      page["refused"].push_back({{"recipe", result.recipe.name}, {"reason", result.refusal}});
      continue;
    }
    Json model = model_of(result.model, target, files[i].front().string(),
                          result.file->bytes().size(), report::cost_of(result.model, target));
    model["recipe"] = result.recipe.name;
    model["noise"] = result.merits.noise_to_signal;
    model["noise_samples"] = result.evaluation.samples;
    model["noise_on"] = data.called;
    model["milliseconds"] = result.merits.milliseconds;
    model["activation_bytes"] = result.merits.activation_bytes;
    model["file_bytes"] = result.merits.file_bytes;
    model["wide_nodes"] = result.wide_nodes;
    add_evaluation(page, model, result.evaluation, data, result.model);
    model["unbeaten"] = result.unbeaten;
    model["warnings"] = result.warnings;
    model["notes"] = job::notes_of(result);
    model["layers"] = layers[page["models"].size()];
    page["models"].push_back(std::move(model));
  }
  return page;
}

}  // namespace espquant::page
