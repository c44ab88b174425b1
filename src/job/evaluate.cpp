#include "job/evaluate.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "job/data_doubts.h"
#include "job/noise_report.h"
#include "job/outline.h"
#include "job/port_metadata.h"

namespace espquant::job {

Evaluated evaluate(const measure::BankPrograms& programs, const std::filesystem::path& reference,
                   const NetworkOptions& network, const DataOptions& data, const Tell& tell,
                   const calib::Progress& progress) {
  const espdl::Model& model = programs.own().model();
  const bool compared = !reference.empty();
  const Graph graph = compared ? load_network(reference, network, model) : outline(model);
  std::unique_ptr<ops::Executor> executor;
  if (compared)
    executor = std::make_unique<ops::Executor>(graph, ops::Executor::Options{.observe_all = false});
  Evaluated evaluated;
  evaluated.data = open_data(data, graph, tell, preprocess_settings(model), stored_classes(model));
  question_data(evaluated.data, data, graph);
  question_ranges(evaluated.data, model);
  evaluated.result = measure::evaluate_chosen(
      programs.all(), [&](std::span<const Tensor> inputs) { return programs.choose(inputs); },
      graph, executor.get(), evaluated.data.source(), evaluated.data.labels(), progress);
  return evaluated;
}

nlohmann::ordered_json json_of(const Evaluated& evaluated) {
  const measure::Evaluation& result = evaluated.result;
  nlohmann::ordered_json j{{"samples", result.samples}};
  if (evaluated.data.dataset->holds_pictures())
    for (const auto& [key, value] : data::to_settings(evaluated.data.preprocess))
      j["preprocess"][key] = value;
  if (result.noise) add_noise(j, *result.noise);
  if (result.accuracy) j["accuracy"] = *result.accuracy;
  if (result.reference_accuracy) j["reference_accuracy"] = *result.reference_accuracy;
  if (result.agreement) j["agreement"] = *result.agreement;
  return j;
}

}  // namespace espquant::job
