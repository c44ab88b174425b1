#include "page/file_pages.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "page/answers_part.h"

namespace espquant::page {

using Json = nlohmann::ordered_json;

Json page_of_file(const Origin& origin, const FileFacts& file) {
  Json page = page_of(origin);
  page["models"].push_back(model_part(file.model, file.facts, file.target, file.cost));
  return page;
}

Json page_of_evaluated(const Origin& origin, const FileFacts& file,
                       const job::Evaluated& evaluated) {
  Json page = page_of_file(origin, file);
  Json& model = page["models"][0];
  const measure::Evaluation& result = evaluated.result;
  if (result.noise) {
    model["noise"] = result.noise->ratio();
    model["noise_samples"] = result.samples;
    model["noise_on"] = "test";
  }
  add_evaluation(page, model, result, answered(evaluated.data, "test"), file.model);
  return page;
}

Json page_of_saturation(const Origin& origin, const FileFacts& file,
                        const job::Evaluated& evaluated,
                        std::span<const measure::SaturationReport> reports) {
  Json page = page_of_evaluated(origin, file, evaluated);
  std::map<std::string_view, std::pair<std::int64_t, std::int64_t>> changed;
  for (const measure::SaturationReport& report : reports)
    for (const measure::LayerSaturation& layer : report.layers) {
      changed[layer.tensor].first += layer.changed;
      changed[layer.tensor].second += layer.elements;
    }
  for (Json& node : page["models"][0]["nodes"]) {
    if (node["outputs"].empty()) continue;
    const auto found = changed.find(node["outputs"][0]["name"].get_ref<const std::string&>());
    if (found == changed.end() || found->second.second == 0) continue;
    node["outputs_changed_by_saturation"] =
        static_cast<double>(found->second.first) / static_cast<double>(found->second.second);
  }
  return page;
}

}  // namespace espquant::page
