#include "page/page.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/version.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

/// By the first tensor that a node writes.
std::map<std::string, double> noise_by_tensor(const Json& model) {
  std::map<std::string, double> noise;
  if (model.contains("layers"))
    for (const Json& layer : model["layers"])
      noise.emplace(layer["tensor"].get<std::string>(), layer["at_output"].get<double>());
  return noise;
}

Json value_of(const Json& node, const std::map<std::string, double>& noise) {
  if (!noise.empty()) {
    if (node["outputs"].empty()) return nullptr;
    const auto found = noise.find(node["outputs"][0]["name"].get<std::string>());
    return found == noise.end() ? Json() : Json(found->second);
  }
  return node.contains("milliseconds") ? node["milliseconds"] : node["file_bytes"];
}

}  // namespace

Json page_of(const Origin& origin) {
  return {{"format", kFormat},     {"espquant", version()},     {"kind", origin.kind},
          {"title", origin.title}, {"command", origin.command}, {"models", Json::array()}};
}

std::string node_data_of(const Json& page) {
  const Json& model = page["models"][0];
  const auto noise = noise_by_tensor(model);
  Json results = Json::object();
  for (const Json& node : model["nodes"])
    if (const Json value = value_of(node, noise); !value.is_null())
      results[node["name"].get<std::string>()] = {{"value", value}};
  const Json data{{"results", std::move(results)},
                  {"gradient",
                   {{{"stop", 0}, {"bgColor", "#fff7bc"}},
                    {{"stop", 0.5}, {"bgColor", "#fe9929"}},
                    {{"stop", 1}, {"bgColor", "#993404"}, {"textColor", "#ffffff"}}}}};
  return data.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espquant::page
