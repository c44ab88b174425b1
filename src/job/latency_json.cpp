#include "job/latency_json.h"

#include <nlohmann/json.hpp>

#include "report/model_file.h"

namespace espquant::job {

nlohmann::ordered_json latency_json(const std::string& file, const Target& target,
                                    const cost::LatencyEstimate& latency,
                                    const cost::Profile* profile) {
  nlohmann::ordered_json json{{"file", file},
                              {"target", target.name},
                              {"espdl", target.release.version},
                              {"milliseconds", latency.milliseconds},
                              {"least", latency.milliseconds * (1 - latency.below)},
                              {"most", latency.milliseconds * (1 + latency.above)},
                              {"clock_mhz", latency.clock_mhz},
                              {"cores", latency.cores},
                              {"basis", latency.basis}};
  if (profile != nullptr) json["measured_milliseconds"] = profile->sum();
  json["nodes"] = nlohmann::ordered_json::array();
  for (std::size_t n = 0; n < latency.nodes.size(); ++n) {
    const auto& node = latency.nodes[n];
    nlohmann::ordered_json one{{"name", node.node},
                               {"type", node.op},
                               {"milliseconds", node.milliseconds},
                               {"waiting_milliseconds", node.memory_milliseconds},
                               {"macs", node.macs}};
    if (profile != nullptr && profile->milliseconds[n])
      one["measured_milliseconds"] = *profile->milliseconds[n];
    json["nodes"].push_back(std::move(one));
  }
  return json;
}

nlohmann::ordered_json plan_json(const cost::MemoryPlan& plan) {
  nlohmann::ordered_json json = report::totals_of(plan);
  json["tensors"] = nlohmann::ordered_json::array();
  for (const cost::TensorPlace& place : plan.tensors) {
    nlohmann::ordered_json one{
        {"name", place.name},     {"bytes", place.bytes}, {"memory", to_string(place.memory)},
        {"offset", place.offset}, {"begin", place.begin}, {"end", nullptr},
        {"shares", place.shares}};
    if (place.end) one["end"] = *place.end;
    json["tensors"].push_back(std::move(one));
  }
  json["overwrites"] = nlohmann::ordered_json::array();
  for (const cost::Overwrite& loss : plan.overwrites)
    json["overwrites"].push_back(
        {{"tensor", loss.tensor}, {"node", loss.node}, {"step", loss.step}});
  return json;
}

}  // namespace espquant::job
