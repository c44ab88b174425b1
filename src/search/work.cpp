#include "search/work.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/error.h"

namespace espquant::search {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kKinds = {"layers", "look", "tensor", "trial"};

ordered_json parsed(std::string_view text) {
  ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) throw Error(ErrorCode::Malformed, "no JSON object");
  return json;
}

/// Messages name files, whose names may be any bytes.
std::string line_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

template <typename T>
void put(ordered_json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}
template <typename T>
void get(const ordered_json& json, const char* key, std::optional<T>& value) {
  if (const auto it = json.find(key); it != json.end()) value = it->template get<T>();
}

}  // namespace

std::string_view name_of(Work::Kind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }

std::string Work::key() const {
  recipe::Recipe same = recipe;
  if (kind != Kind::Trial) same.name.clear();
  same.description.clear();
  const std::string text = fmt::format("{}\n{}\n{}", name_of(kind), tensor, to_toml(same));
  constexpr std::size_t kDigits = 32;
  return sha256_of(std::as_bytes(std::span(text))).substr(0, kDigits);
}

std::string to_json(const Work& work) {
  ordered_json json{{"kind", name_of(work.kind)}, {"recipe", to_toml(work.recipe)}};
  if (!work.tensor.empty()) json["tensor"] = work.tensor;
  return line_of(json);
}

std::string to_json(const Outcome& o) {
  ordered_json json;
  if (!o.refusal.empty()) {
    json["refused"] = o.refusal;
    return line_of(json);
  }
  if (!o.layers.empty() || !o.tensors.empty() || o.has_caps) {
    for (const LayerInfo& layer : o.layers)
      json["layers"].push_back({{"name", layer.name}, {"narrow_weights", layer.narrow_weights}});
    for (const TensorInfo& tensor : o.tensors)
      json["tensors"].push_back({{"name", tensor.name}, {"layers", tensor.layers}});
    json["caps"] = o.has_caps;
  }
  json["judged"] = o.judged;
  json["judged_mean"] = o.judged_mean;
  json["milliseconds"] = o.milliseconds;
  json["flash"] = o.flash;
  json["ram"] = o.ram;
  if (!o.file.empty()) {
    json["noise"] = o.noise;
    json["parts"] = o.part_noises;
    json["file"] = o.file;
    if (!o.wide_layers.empty()) json["wide_layers"] = o.wide_layers;
    if (!o.narrow_weights.empty()) json["narrow_weights"] = o.narrow_weights;
  }
  put(json, "accuracy", o.accuracy);
  put(json, "agreement", o.agreement);
  put(json, "accuracy_drop", o.accuracy_drop);
  return line_of(json);
}

Work work_from_json(std::string_view text) try {
  const ordered_json json = parsed(text);
  Work work;
  const auto kind = json.at("kind").get<std::string>();
  const auto found = std::find(kKinds.begin(), kKinds.end(), kind);
  if (found == kKinds.end()) throw Error(ErrorCode::Malformed, "unknown kind '" + kind + "'");
  work.kind = static_cast<Work::Kind>(found - kKinds.begin());
  work.recipe = recipe::parse_recipe(json.at("recipe").get<std::string>(), "recipe");
  if (json.contains("tensor")) work.tensor = json.at("tensor").get<std::string>();
  return work;
} catch (const nlohmann::json::exception& error) {
  throw Error(ErrorCode::Malformed, error.what());
}

Outcome outcome_from_json(std::string_view text) try {
  const ordered_json json = parsed(text);
  Outcome o;
  if (json.contains("refused")) {
    o.refusal = json.at("refused").get<std::string>();
    return o;
  }
  if (json.contains("caps")) {
    o.has_caps = json.at("caps").get<bool>();
    if (json.contains("layers"))
      for (const auto& layer : json.at("layers"))
        o.layers.push_back({layer.at("name").get<std::string>(),
                            layer.at("narrow_weights").get<std::vector<std::string>>()});
    if (json.contains("tensors"))
      for (const auto& tensor : json.at("tensors"))
        o.tensors.push_back({tensor.at("name").get<std::string>(),
                             tensor.at("layers").get<std::vector<std::size_t>>()});
  }
  o.judged = json.at("judged").get<double>();
  o.judged_mean = json.at("judged_mean").get<double>();
  o.milliseconds = json.at("milliseconds").get<double>();
  o.flash = json.at("flash").get<std::int64_t>();
  o.ram = json.at("ram").get<std::int64_t>();
  if (json.contains("file")) {
    o.noise = json.at("noise").get<double>();
    o.part_noises = json.at("parts").get<std::vector<double>>();
    o.file = json.at("file").get<std::string>();
    o.wide_layers = json.value("wide_layers", std::vector<std::string>());
    o.narrow_weights = json.value("narrow_weights", std::vector<std::string>());
  }
  get(json, "accuracy", o.accuracy);
  get(json, "agreement", o.agreement);
  get(json, "accuracy_drop", o.accuracy_drop);
  return o;
} catch (const nlohmann::json::exception& error) {
  throw Error(ErrorCode::Malformed, error.what());
}

}  // namespace espquant::search
