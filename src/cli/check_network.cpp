#include "cli/check_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/notes.h"
#include "onnx/import.h"
#include "report/cost_table.h"
#include "report/network.h"
#include "report/table.h"
#include "report/wrap.h"

namespace espquant::cli {
namespace {

struct CheckedNetwork {
  const Target& target;
  survey::Survey survey;
  std::int64_t macs = 0, parameters = 0;
};

CheckedNetwork surveyed(const NetworkCheck& command) try {
  const Target& chip = find_target(command.target.empty() ? "esp32s3" : command.target);
  const Target& target = command.espdl.empty() ? chip : chip.under(find_release(command.espdl));
  std::vector<Error> refused;
  Graph graph = job::read_network(command.model, command.network, refused);
  onnx::check_finite_constants(graph);
  Graph known = graph;
  ops::infer_known_shapes(known);
  const report::Network figures = report::describe(known);
  return {target,
          survey::survey(std::move(graph), target, refused,
                         command.board.latency_for(target, print_note)),
          figures.macs, figures.parameters};
} catch (Error& error) {
  throw error.file(command.model.string());
}

/// "Reshape, Mul (3), Add".
std::string operators_text(const std::vector<std::string>& operators) {
  std::vector<std::pair<std::string, int>> counts;
  for (const std::string& op : operators) {
    const auto known = std::find_if(counts.begin(), counts.end(),
                                    [&](const auto& count) { return count.first == op; });
    if (known == counts.end())
      counts.emplace_back(op, 1);
    else
      ++known->second;
  }
  std::vector<std::string> parts;
  for (const auto& [op, count] : counts)
    parts.push_back(count == 1 ? op : fmt::format("{} ({})", op, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string outcome_text(const survey::NodeVerdict& node) {
  std::string text;
  if (!node.becomes.empty())
    text = fmt::format("becomes {}", operators_text(node.becomes));
  else if (node.verdict == survey::Verdict::Rewritten)
    text = node.message;
  else if (node.verdict == survey::Verdict::Unknown)
    text = "behind one that is not, of unknown shape";
  if (node.only_bits != 0)
    text += fmt::format("{}at {} bits only", text.empty() ? "" : "; ", node.only_bits);
  return text;
}

std::string nodes_table(const survey::Survey& survey) {
  report::Table table({{"node"}, {"operator"}, {"verdict"}, {"what becomes of it"}});
  for (const auto& node : survey.nodes)
    table.add_row({node.node, node.op, std::string(to_string(node.verdict)), outcome_text(node)});
  return table.to_string();
}

/// Nodes with the same sentence together, in order of execution.
std::string refusals_text(const survey::Survey& survey) {
  std::vector<std::string> sentences;
  std::map<std::string, std::vector<std::string>> nodes;
  for (const auto& node : survey.nodes) {
    if (node.verdict != survey::Verdict::Unsupported) continue;
    std::string sentence = node.message + '.';
    if (!node.remedy.empty()) sentence += fmt::format(" {}.", node.remedy);
    if (!nodes.contains(sentence)) sentences.push_back(sentence);
    nodes[sentence].push_back(fmt::format("{} ({})", node.node, node.op));
  }
  std::string text;
  for (const std::string& sentence : sentences) {
    const std::string whole = fmt::format("{}: {}", fmt::join(nodes[sentence], ", "), sentence);
    for (const std::string& line : report::wrapped(whole, report::prose_width()))
      text += line + '\n';
    text += '\n';
  }
  return text;
}

std::string costs_text(const CheckedNetwork& checked) {
  std::string text =
      fmt::format("MACs         {}\nparameters   {}\n", report::with_separators(checked.macs),
                  report::with_separators(checked.parameters));
  const bool whole = checked.survey.unsupported() == 0;
  for (const auto& cost : checked.survey.costs)
    text += fmt::format("{:>2} bits      {} ms, activations {}, parameters {}{}\n", cost.bits,
                        report::milliseconds_text(cost.milliseconds),
                        report::human_bytes(cost.memory.activation_bytes()),
                        report::human_bytes(cost.memory.parameter_bytes),
                        whole ? "" : " (of what is supported)");
  return text;
}

std::string counts_text(const NetworkCheck& command, const CheckedNetwork& checked) {
  const auto& nodes = checked.survey.nodes;
  const auto count = [&](survey::Verdict verdict) {
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](const auto& node) { return node.verdict == verdict; });
  };
  std::string text =
      fmt::format("{} on {} (ESP-DL {}): {} nodes, {} supported, {} rewritten, {} unsupported",
                  command.model.string(), checked.target.name, checked.target.release.version,
                  nodes.size(), count(survey::Verdict::Supported),
                  count(survey::Verdict::Rewritten), count(survey::Verdict::Unsupported));
  if (const auto unknown = count(survey::Verdict::Unknown); unknown > 0)
    text += fmt::format(", {} behind those", unknown);
  return text + '\n';
}

std::string cut_text(const survey::Cut& cut) {
  return fmt::format(
      "The chip can run the rest. Leave those nodes to the application: quantize with\n"
      "    {}\n"
      "or with --cut-tail, which finds the same\n",
      job::options_of(cut));
}

nlohmann::ordered_json network_check_json(const NetworkCheck& command,
                                          const CheckedNetwork& checked) {
  nlohmann::ordered_json json{
      {"file", command.model.string()}, {"passed", checked.survey.unsupported() == 0},
      {"target", checked.target.name},  {"espdl", checked.target.release.version},
      {"macs", checked.macs},           {"parameters", checked.parameters}};
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
    json["cut"] = {
        {"inputs", cut.inputs}, {"outputs", cut.outputs}, {"option", job::options_of(cut)}};
  return json;
}

}  // namespace

void check_network(const NetworkCheck& command, Context& context) {
  const CheckedNetwork checked = surveyed(command);
  const bool passed = checked.survey.unsupported() == 0;
  if (!passed) context.exit_code = 1;
  if (command.json) {
    using Handler = nlohmann::ordered_json::error_handler_t;
    fmt::print("{}\n", network_check_json(command, checked).dump(2, ' ', false, Handler::replace));
    return;
  }
  if (!context.quiet) fmt::print("{}\n", nodes_table(checked.survey));
  fmt::print("{}", refusals_text(checked.survey));
  if (!context.quiet || !passed) fmt::print("{}", counts_text(command, checked));
  if (!context.quiet) fmt::print("{}", costs_text(checked));
  if (!checked.survey.cut.empty()) fmt::print("{}", cut_text(checked.survey.cut));
}

}  // namespace espquant::cli
