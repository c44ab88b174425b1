#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "job/tune.h"

namespace espquant::job {
namespace {

using nlohmann::ordered_json;

template <typename T>
void add_if(ordered_json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

void add_measures(ordered_json& json, const search::Outcome& outcome) {
  json["noise_to_signal"] = outcome.noise;
  add_if(json, "accuracy", outcome.accuracy);
  add_if(json, "agreement", outcome.agreement);
  add_if(json, "accuracy_drop", outcome.accuracy_drop);
}

void add_costs(ordered_json& json, const search::Outcome& outcome) {
  json["milliseconds"] = outcome.milliseconds;
  json["flash"] = outcome.flash;
  json["ram"] = outcome.ram;
}

void add_widths(ordered_json& json, const search::Tried& tried) {
  if (!tried.config) return;
  std::size_t wide = 0, narrow_weights = 0;
  for (const strategy::LayerWidth width : tried.config->widths) {
    wide += width == strategy::LayerWidth::Wide ? 1 : 0;
    narrow_weights += width == strategy::LayerWidth::NarrowWeights ? 1 : 0;
  }
  json["layers_16bit"] = wide;
  json["layers_w8a16"] = narrow_weights;
}

ordered_json point_json(const TunedPoint& point, const Tuned& tuned, const TuneJob& job) {
  const search::Tried& tried = tuned.findings.tried[point.tried];
  ordered_json json{{"recipe", tried.work.recipe.name}, {"trial", point.tried}};
  for (const auto& file : point.files)
    json["files"].push_back(file.lexically_relative(job.out).generic_string());
  json["sha256"] = tried.outcome.file;
  add_costs(json, tried.outcome);
  add_measures(json, tried.outcome);
  add_widths(json, tried);
  if (point.confirmed) {
    json["confirmed"] = ordered_json::object();
    add_measures(json["confirmed"], *point.confirmed);
  }
  return json;
}

}  // namespace

ordered_json json_of(const Tuned& tuned, const TuneJob& job) {
  const search::Findings& found = tuned.findings;
  ordered_json json{{"network", job.name},
                    {"target", tuned.target->name},
                    {"espdl", tuned.target->release.version}};
  json["goals"] = ordered_json::array();
  for (const search::Goal& goal : job.plan.goals) json["goals"].push_back(search::text_of(goal));
  json["minimized"] = search::name_of(job.plan.minimized);
  json["goals_met"] = tuned.goals_met;
  add_if(json, "goals_confirmed", tuned.goals_confirmed);
  json["measured_on"] = tuned.on_test_data ? "test" : "calibration";
  json["samples"] = {{"calibration", tuned.calibration_samples},
                     {"deciding", tuned.deciding_samples},
                     {"confirming", tuned.confirming_samples}};
  json["trials"] = found.tried.size();
  json["looks"] = tuned.looks;
  json["end"] = found.end;
  json["recommended"] = found.tried[tuned.points[tuned.recommended].tried].work.recipe.name;
  json["front"] = ordered_json::array();
  for (const TunedPoint& point : tuned.points)
    json["front"].push_back(point_json(point, tuned, job));
  json["history"] = ordered_json::array();
  for (const search::Tried& tried : found.tried) {
    ordered_json& row = json["history"].emplace_back(
        ordered_json{{"recipe", tried.work.recipe.name}, {"reason", tried.reason}});
    if (!tried.outcome.refusal.empty()) {
      row["refused"] = tried.outcome.refusal;
      continue;
    }
    add_costs(row, tried.outcome);
    add_measures(row, tried.outcome);
    add_widths(row, tried);
  }
  json["importance"] = ordered_json::array();
  for (const auto& i : found.importance)
    json["importance"].push_back({{"choice", i.choice},
                                  {"value", i.value},
                                  {"noise_factor", std::exp(i.change)},
                                  {"pairs", i.pairs}});
  json["layers"] = ordered_json::array();
  for (const auto& [layer, noise] : found.layer_noises)
    json["layers"].push_back({{"layer", layer}, {"noise_to_signal_alone", noise}});
  return json;
}

ordered_json json_of(const std::vector<search::Entry>& entries) {
  ordered_json all = ordered_json::array();
  for (const search::Entry& entry : entries) {
    ordered_json json = ordered_json::parse(search::to_json(entry.outcome));
    ordered_json row{{"number", entry.number},
                     {"kind", search::name_of(entry.work.kind)},
                     {"recipe_name", entry.work.recipe.name}};
    if (!entry.work.tensor.empty()) row["tensor"] = entry.work.tensor;
    row["seconds"] = entry.outcome.seconds;
    row["outcome"] = std::move(json);
    row["recipe"] = ordered_json::parse(recipe::to_json(entry.work.recipe));
    all.push_back(std::move(row));
  }
  return all;
}

std::string csv_of(const std::vector<search::Entry>& entries) {
  std::string text =
      "number,kind,recipe,noise_to_signal,accuracy,agreement,accuracy_drop,milliseconds,flash,ram,"
      "seconds,sha256,refused\n";
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  const auto quoted = [](const std::string& words) {
    std::string out = "\"";
    for (const char c : words) {
      if (c == '"') out += '"';
      out += c == '\n' ? ' ' : c;
    }
    return out + '"';
  };
  for (const search::Entry& entry : entries) {
    const search::Outcome& o = entry.outcome;
    const bool trial = entry.work.kind == search::Work::Kind::Trial;
    text += fmt::format("{},{},{},", entry.number, search::name_of(entry.work.kind),
                        quoted(entry.work.recipe.name));
    if (o.refusal.empty())
      text += fmt::format("{},{},{},{},{},{},{},{},{},\n", trial ? o.noise : o.judged,
                          number(o.accuracy), number(o.agreement), number(o.accuracy_drop),
                          o.milliseconds, o.flash, o.ram, o.seconds, o.file);
    else
      text += fmt::format(",,,,,,,{},,{}\n", o.seconds, quoted(o.refusal));
  }
  return text;
}

}  // namespace espquant::job
