#include "job/check_network.h"

#include <nlohmann/json.hpp>

#include "onnx/import.h"
#include "ops/op.h"
#include "report/network.h"

namespace espquant::job {

CheckedNetwork check_network(const NetworkCheckJob& job, const Tell& tell) try {
  const Target& chip = find_target(job.target.empty() ? "esp32s3" : job.target);
  const Target& target = job.espdl.empty() ? chip : chip.under(find_release(job.espdl));
  std::vector<Error> refused;
  Graph graph = read_network(job.model, job.network, refused);
  onnx::check_finite_constants(graph);
  Graph known = graph;
  ops::infer_known_shapes(known);
  const report::Network figures = report::describe(known);
  return {target,
          survey::survey(std::move(graph), target, refused, job.board.latency_for(target, tell)),
          figures.macs, figures.parameters};
} catch (Error& error) {
  throw error.file(job.model.string());
}

nlohmann::ordered_json json_of(const NetworkCheckJob& job, const CheckedNetwork& checked) {
  nlohmann::ordered_json json{
      {"file", job.model.string()},    {"passed", checked.survey.unsupported() == 0},
      {"target", checked.target.name}, {"espdl", checked.target.release.version},
      {"macs", checked.macs},          {"parameters", checked.parameters}};
  json["nodes"] = nlohmann::ordered_json::array();
  for (const auto& node : checked.survey.nodes) {
    auto& entry = json["nodes"].emplace_back(nlohmann::ordered_json{
        {"name", node.node}, {"operator", node.op}, {"verdict", to_string(node.verdict)}});
    if (node.verdict == survey::Verdict::Rewritten) entry["becomes"] = node.becomes;
    if (!node.message.empty()) entry["message"] = node.message;
    if (!node.remedy.empty()) entry["remedy"] = node.remedy;
    if (node.only_bits != 0) entry["only_bits"] = node.only_bits;
  }
  json["costs"] = nlohmann::ordered_json::array();
  for (const auto& cost : checked.survey.costs)
    json["costs"].push_back({{"bits", cost.bits},
                             {"milliseconds", cost.milliseconds},
                             {"activation_bytes", cost.memory.activation_bytes()},
                             {"parameter_bytes", cost.memory.parameter_bytes},
                             {"ram_bytes", cost.memory.ram_bytes()}});
  if (const auto& cut = checked.survey.cut; !cut.empty())
    json["cut"] = {{"inputs", cut.inputs}, {"outputs", cut.outputs}, {"option", options_of(cut)}};
  return json;
}

}  // namespace espquant::job
