#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/board_options.h"
#include "cli/check_network.h"
#include "cli/commands.h"
#include "cli/list_operators.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "job/check_model.h"
#include "report/json_text.h"
#include "report/table.h"
#include "report/wrap.h"

namespace espquant::cli {
namespace {

struct CheckCommand {
  job::ModelFile file;
  job::NetworkOptions network;
  job::BoardOptions board;
  bool list = false, markdown = false;
  bool json = false;
};

std::string place_of(const sim::Finding& finding) {
  if (!finding.node.empty()) return finding.node;
  return finding.tensor.empty() ? "(the file)" : finding.tensor;
}

std::string text_of(const sim::Finding& finding) {
  std::string text = finding.severity == sim::Severity::Note ? "Note: " : "";
  if (!finding.node.empty() && !finding.tensor.empty())
    text += fmt::format("tensor '{}': ", finding.tensor);
  text += finding.message + '.';
  if (!finding.remedy.empty()) text += fmt::format(" {}.", finding.remedy);
  return text;
}

std::string check_table_of(const std::vector<sim::Finding>& findings) {
  // Together, with gaps, 100 columns.
  constexpr std::size_t kPlaceWidth = 24, kRuleWidth = 24, kTextWidth = 48;
  report::Table table({{"node"}, {"rule"}, {"what is wrong, and the remedy"}});
  for (const auto& finding : findings) {
    if (&finding != &findings.front()) table.add_row({""});
    auto place = report::wrapped(place_of(finding), kPlaceWidth);
    if (!finding.op.empty() && finding.op != place_of(finding))
      place.push_back(report::shortened(fmt::format("({})", finding.op), kPlaceWidth));
    auto rule = report::wrapped(finding.rule, kRuleWidth);
    for (auto& line : report::wrapped(finding.name, kRuleWidth)) rule.push_back(std::move(line));
    const auto text = report::wrapped(text_of(finding), kTextWidth);
    const auto line_of = [](const std::vector<std::string>& lines, std::size_t i) {
      return i < lines.size() ? lines[i] : std::string();
    };
    const auto height = std::max({place.size(), rule.size(), text.size()});
    for (std::size_t i = 0; i < height; ++i)
      table.add_row({line_of(place, i), line_of(rule, i), line_of(text, i)});
  }
  return table.to_string();
}

std::string check_summary_of(const CheckCommand& command, const job::CheckedModel& checked) {
  std::string what = command.file.path.string();
  if (!checked.model.empty()) what += fmt::format(": {}", checked.model);
  const auto defects = checked.defects();
  const auto notes = static_cast<std::ptrdiff_t>(checked.findings.size()) - defects;
  const auto counted = [](std::ptrdiff_t n, std::string_view thing) {
    return fmt::format("{} {}{}", n == 0 ? "no" : std::to_string(n), thing, n == 1 ? "" : "s");
  };
  std::string summary =
      fmt::format("{} on {}: {}{} ({})\n", what, checked.target, counted(defects, "defect"),
                  notes == 0 ? "" : ", " + counted(notes, "note"),
                  counted(static_cast<std::ptrdiff_t>(checked.nodes), "node"));
  if (!checked.features.empty())
    summary += fmt::format("It needs ESP-DL {} or later ({})\n", checked.needs,
                           fmt::join(checked.features, "; "));
  return summary;
}

void check_espdl(const CheckCommand& command, Context& context) {
  const auto all = job::check_file(command.file);
  const bool passed = std::all_of(all.begin(), all.end(), [](const job::CheckedModel& checked) {
    return checked.defects() == 0;
  });
  if (!passed) context.exit_code = 1;
  if (command.json) {
    const nlohmann::ordered_json json = job::json_of(command.file, all);
    fmt::print("{}", report::json_text(json));
    return;
  }
  for (const auto& checked : all) {
    if (!checked.findings.empty()) fmt::print("{}\n", check_table_of(checked.findings));
    if (!context.quiet || checked.defects() > 0)
      fmt::print("{}", check_summary_of(command, checked));
  }
}

void run_check(const CheckCommand& command, Context& context) {
  if (command.list) {
    list_operators(find_target(command.file.target.empty() ? "esp32s3" : command.file.target),
                   command.markdown, command.json);
    return;
  }
  if (command.file.path.empty())
    throw Error(ErrorCode::Usage, "FILE is missing").remedy("Give an .onnx or .espdl, or --list");
  if (!job::is_network(command.file.path)) {
    check_espdl(command, context);
    return;
  }
  if (!command.file.key.empty() || !command.file.name.empty())
    throw Error(ErrorCode::Usage, "--key and --model are for .espdl files")
        .file(command.file.path.string());
  check_network(
      {{command.file.path, command.network, command.file.target, command.file.espdl, command.board},
       command.json},
      context);
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("check",
                                  "Find all that ESP-DL's runtime cannot run of an .onnx, or would "
                                  "refuse or compute wrongly in "
                                  "an .espdl");
  const auto command = std::make_shared<CheckCommand>();
  add_model_file(sub, command->file);
  add_target(sub, command->file);
  add_banks(sub, command->file);
  add_network_options(sub, command->network);
  add_board(sub, command->board);
  sub.add_flag(
      "--list", command->list,
      "Show which operators the chip has, which are rewritten, and what to do about others");
  sub.add_flag("--markdown", command->markdown, "Of --list: as docs/operators.md has it");
  sub.get_option("FILE")->required(false);
  sub.add_flag("--json", command->json, "Print JSON");
  sub.footer(
      "Of an .onnx no data are needed: each node is supported, rewritten or unsupported; where "
      "only\n"
      "a tail is unsupported, the option that cuts it off is shown. Exit code 1 if any node is "
      "unsupported.\n"
      "\n"
      "Of an .espdl, all models of a package are checked unless --model names one. Exit code 1 "
      "where "
      "there is a\n"
      "defect; notes do not count. Rules are sections of docs/runtime-faults.md and "
      "docs/check.md.\n"
      "\n"
      "Examples:\n"
      "  espquant check model.onnx --target esp32s3\n"
      "  espquant check --list\n"
      "  espquant check model.espdl --target esp32s3\n"
      "  espquant check models.pdl --model cat.espdl --json\n");
  sub.callback([command, &context] { run_check(*command, context); });
}

}  // namespace espquant::cli
