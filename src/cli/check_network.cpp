#include "cli/check_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/notes.h"
#include "report/cost_table.h"
#include "report/json_text.h"
#include "report/table.h"
#include "report/wrap.h"

namespace espquant::cli {
namespace {

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

std::string costs_text(const job::CheckedNetwork& checked) {
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

std::string counts_text(const NetworkCheck& command, const job::CheckedNetwork& checked) {
  const auto& nodes = checked.survey.nodes;
  const auto count = [&](survey::Verdict verdict) {
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](const auto& node) { return node.verdict == verdict; });
  };
  std::string text =
      fmt::format("{} on {} (ESP-DL {}): {} nodes, {} supported, {} rewritten, {} unsupported",
                  command.job.model.string(), checked.target.name, checked.target.release.version,
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

}  // namespace

void check_network(const NetworkCheck& command, Context& context) {
  const job::CheckedNetwork checked = job::check_network(command.job, print_note);
  const bool passed = checked.survey.unsupported() == 0;
  if (!passed) context.exit_code = 1;
  if (command.json) {
    fmt::print("{}", report::json_text(job::json_of(command.job, checked)));
    return;
  }
  if (!context.quiet) fmt::print("{}\n", nodes_table(checked.survey));
  fmt::print("{}", refusals_text(checked.survey));
  if (!context.quiet || !passed) fmt::print("{}", counts_text(command, checked));
  if (!context.quiet) fmt::print("{}", costs_text(checked));
  if (!checked.survey.cut.empty()) fmt::print("{}", cut_text(checked.survey.cut));
}

}  // namespace espquant::cli
