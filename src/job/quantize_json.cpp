#include <nlohmann/json.hpp>

#include "data/preprocess.h"
#include "job/noise_report.h"
#include "job/quantize.h"

namespace espquant::job {
namespace {

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

}  // namespace

nlohmann::ordered_json json_of(const Quantized& q,
                               const std::vector<std::filesystem::path>& files) {
  const strategy::QuantizedModel& result = q.made;
  const Target& target = *q.target;
  const std::optional<measure::Evaluation>& test = q.test;
  const espdl::SizeByKind& size = q.size;
  const report::Cost& cost = q.cost;
  nlohmann::ordered_json j;
  for (const auto& f : files) j["files"].push_back(f.string());
  j["target"] = target.name;
  j["espdl"] = target.release.version;
  j["strategy"] = result.recipe.name;
  for (const auto& s : result.stages)
    j["stages"].push_back({{"name", s.name}, {"seconds", s.seconds}});
  add_noise(j, q.noise());
  j["noise_samples"] = test ? test->samples : result.noise.samples;
  j["size"] = {{"total", size.total()},         {"filters", size.filters},
               {"biases", size.biases},         {"tables", size.tables},
               {"parameters", size.parameters}, {"test_values", size.test_values},
               {"structure", size.structure}};
  j["ram"] = cost.memory.ram_bytes();
  j["milliseconds"] = cost.latency.milliseconds;
  if (q.calibration.dataset->holds_pictures())
    for (const auto& [key, value] : data::to_settings(q.calibration.preprocess))
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
  if (q.banks) {
    j["banks"] = nlohmann::ordered_json::array();
    for (const strategy::TriedBank& bank : q.banks->tried) {
      nlohmann::ordered_json b{{"largest", bank.largest},
                               {"samples", bank.samples},
                               {"kept", bank.kept},
                               {"noise_to_signal_single", bank.single.ratio()}};
      if (bank.obstacle.empty())
        b["noise_to_signal"] = bank.banked.ratio();
      else
        b["obstacle"] = bank.obstacle;
      j["banks"].push_back(std::move(b));
    }
  }
  if (result.finetuned)
    j["finetuned"] = {{"noise_to_signal_before", result.finetuned->first},
                      {"noise_to_signal_after", result.finetuned->second}};
  if (!result.wide_weights.empty()) j["wide_weights"] = result.wide_weights;
  if (result.recipe.mixed.enabled) {
    j["wide_layers"] = effects_json(result.wide_layers);
    j["layer_effects"] = effects_json(result.layer_effects);
    j["idle_layers"] = result.idle_layers;
    j["goals_met"] = result.goals_met;
  }
  j["warnings"] = result.warnings;
  j["notes"] = notes_of(result);
  j["recipe"] = nlohmann::ordered_json::parse(recipe::to_json(result.recipe));
  return j;
}

}  // namespace espquant::job
