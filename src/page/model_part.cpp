#include "page/model_part.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <unordered_map>

#include "espdl/bytes.h"
#include "espdl/container.h"
#include "espdl/index.h"
#include "page/weight_channels.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;

/// Constants that a node reads, as inputs or as its table.
std::vector<const espdl::Constant*> constants_of(const espdl::Node& node,
                                                 const espdl::ModelIndex& index) {
  std::vector<const espdl::Constant*> constants;
  const auto add = [&](std::string_view name) {
    if (const auto* constant = index.initializer(name)) constants.push_back(constant);
  };
  for (const std::string& input : node.inputs) add(input);
  if (const auto lut = node.attributes.find("lut"); lut != node.attributes.end())
    if (const auto* table = std::get_if<std::string>(&lut->second)) add(*table);
  return constants;
}

Json channels_json(const std::vector<WeightChannel>& channels) {
  Json min = Json::array(), max = Json::array(), rms = Json::array();
  for (const WeightChannel& c : channels) {
    min.push_back(rounded(c.min));
    max.push_back(rounded(c.max));
    rms.push_back(rounded(c.rms));
  }
  return {{"min", std::move(min)}, {"max", std::move(max)}, {"rms", std::move(rms)}};
}

void add_nodes(Json& json, const espdl::Model& model, const Target& target) {
  const espdl::ModelIndex index(model);
  std::set<std::string_view> counted;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    const espdl::Node& node = model.nodes[n];
    std::size_t bytes = 0;
    // What several nodes read counts for the first.
    for (const auto* constant : constants_of(node, index))
      if (counted.insert(constant->name).second)
        bytes += espdl::round_up(constant->data.byte_size(), espdl::kBlockBytes);
    json["nodes"][n]["file_bytes"] = bytes;
    if (node.inputs.size() < 2) continue;
    const auto* weights = index.initializer(node.inputs[1]);
    const auto channels = weight_channels(node, weights, target);
    if (channels.empty()) continue;
    json["nodes"][n]["weights"] = channels_json(channels);
  }
}

/// Bytes that are taken while each node runs, by memory.
std::vector<std::size_t> bytes_by_step(const cost::MemoryPlan& plan, cost::Memory memory,
                                       std::size_t steps) {
  std::vector<std::size_t> bytes(steps, 0);
  for (const cost::TensorPlace& place : plan.tensors)
    if (place.shares.empty() && place.memory == memory)
      for (std::size_t s = place.begin; s < place.end.value_or(steps) && s < steps; ++s)
        bytes[s] += place.bytes;
  return bytes;
}

void add_plan(Json& json, const espdl::Model& model, const report::Cost& cost) {
  const cost::MemoryPlan& plan = cost.memory;
  Json& memory = json["memory"];
  memory["tensors"] = Json::array();
  for (const cost::TensorPlace& place : plan.tensors) {
    Json entry{{"name", place.name},
               {"bytes", place.bytes},
               {"memory", cost::to_string(place.memory)},
               {"offset", place.offset},
               {"begin", place.begin},
               {"end", place.end ? Json(*place.end) : Json()}};
    if (!place.shares.empty()) entry["shares"] = place.shares;
    memory["tensors"].push_back(std::move(entry));
  }
  memory["overwrites"] = Json::array();
  for (const cost::Overwrite& overwrite : plan.overwrites)
    memory["overwrites"].push_back(
        {{"tensor", overwrite.tensor}, {"node", overwrite.node}, {"step", overwrite.step}});
  const std::size_t steps = model.nodes.size();
  const auto internal = bytes_by_step(plan, cost::Memory::Internal, steps);
  const auto psram = bytes_by_step(plan, cost::Memory::Psram, steps);
  for (std::size_t n = 0; n < steps; ++n) {
    Json& node = json["nodes"][n];
    node["waiting_milliseconds"] = cost.latency.nodes[n].memory_milliseconds;
    node["internal_bytes"] = internal[n];
    node["psram_bytes"] = psram[n];
    node["scratch_bytes"] = plan.scratch[n].per_run + plan.scratch[n].kept;
  }
}

}  // namespace

double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  // Beside the smallest numbers there is nothing to see.
  return std::isfinite(scale) ? std::round(value * scale) / scale : 0;
}

Json model_part(const espdl::Model& model, const report::FileFacts& facts, const Target& target,
                const report::Cost* cost) {
  Json json = report::json_of(model, facts, cost);
  json["release"] = target.release.version;
  add_nodes(json, model, target);
  if (cost != nullptr) add_plan(json, model, *cost);
  return json;
}

}  // namespace espquant::page
