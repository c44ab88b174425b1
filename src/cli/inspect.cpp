#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/quantities.h"
#include "cli/board_options.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/report_options.h"
#include "cli/validators.h"
#include "deploy/model_cost.h"
#include "espdl/info.h"
#include "job/bank_report.h"
#include "job/model_facts.h"
#include "ops/op.h"
#include "page/file_pages.h"
#include "passes/pass_manager.h"
#include "report/cost_comparison.h"
#include "report/json_text.h"
#include "report/model_file.h"
#include "report/network.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct InspectCommand {
  job::ModelFile file;
  job::NetworkOptions network;
  bool simplified = false;
  bool json = false;
  bool info = false;
  bool cost = false;
  fs::path before;
  cost::PlannerOptions planner;
  job::BoardOptions board;
  ReportOptions report;
};

void usage(const std::string& message) { throw Error(ErrorCode::Usage, message); }

void inspect_onnx(const InspectCommand& command) try {
  if (command.report.wanted())
    usage("--report, --report-json and --node-data of inspect are for .espdl files");
  if (command.info || command.cost || !command.before.empty() || !command.file.key.empty() ||
      !command.file.name.empty() || !command.file.target.empty())
    usage("--info, --cost, --key, --model and --target are for .espdl files");
  Graph graph = job::read_network(command.file.path, command.network);
  if (command.simplified)
    graph = passes::simplify(std::move(graph));
  else
    ops::infer_known_shapes(graph);
  const auto network = report::describe(graph);
  fmt::print("{}", command.json ? report::to_json(network) : report::to_text(network));
} catch (Error& error) {
  throw error.file(command.file.path.string());
}

/// Nothing, but a line on stderr, where the file says too little.
std::optional<report::Cost> cost_of(const espdl::Model& model, const InspectCommand& command) try {
  const Target& target = command.file.target_for(model);
  return report::cost_of(model, target, command.planner,
                         command.board.latency_for(target, print_note));
} catch (const Error& error) {
  if (command.cost || !command.board.file.empty() || error.code() == ErrorCode::Usage) throw;
  fmt::print(stderr, "espquant: memory and latency are not known: {}\n", error.what());
  return std::nullopt;
}

/// Of the other file, on the chip of this one.
report::FileCost file_before(const InspectCommand& command, const Target& target) try {
  const auto bytes = read_file(command.before);
  const espdl::Model model = espdl::read_model(bytes, command.file.read_options());
  return {report::cost_of(model, target, command.planner,
                          command.board.latency_for(target, print_note)),
          bytes.size(), model.nodes.size()};
} catch (Error& error) {
  throw error.file(command.before.string());
}

std::optional<cost::InternalRam> recommendation_for(const espdl::Model& model,
                                                    const InspectCommand& command) {
  const Target& target = command.file.target_for(model);
  return deploy::recommended_internal_ram(model, target, command.planner,
                                          command.board.latency_for(target, print_note));
}

/// What optimize, or --fit, has written into the file.
void print_schedule(const espdl::Model& model) {
  const std::string before = model.metadata_value("espquant.schedule.before");
  if (before.empty()) return;
  fmt::print("rearranged   {}\n", model.metadata_value("espquant.schedule"));
  fmt::print("before       {}\n", before);
}

void inspect_espdl(const InspectCommand& command, const std::string& command_line) try {
  if (command.simplified) usage("--simplified shows .onnx files");
  const auto bytes = read_file(command.file.path);
  const espdl::Model model = espdl::read_model(bytes, command.file.read_options());
  if (!command.before.empty() && !command.cost) usage("--before shows costs: add --cost");
  if (command.info) {
    fmt::print("{}", espdl::info_text(model));
    return;
  }
  auto facts = job::facts_of(bytes, command.file);
  facts.target = command.file.target_for(model).name;
  const auto cost = cost_of(model, command);
  std::optional<report::FileCost> before, after;
  if (!command.before.empty()) {
    before = file_before(command, command.file.target_for(model));
    after = report::FileCost{*cost, bytes.size(), model.nodes.size()};
  }
  if (command.report.wanted()) {
    OutputFiles output;
    add_pages(output, command.report,
              page::page_of_file(
                  {"inspect", command.file.path.filename().string(), command_line},
                  {model, facts, command.file.target_for(model), cost ? &*cost : nullptr}));
    output.commit();
  }
  const espdl::Banks banks = command.file.load_banks(model);
  const std::size_t banks_bytes = banks.is_empty() ? 0 : fs::file_size(*command.file.banks_file());
  std::optional<cost::InternalRam> internal;
  if (command.cost && command.planner.max_internal_size == 0)
    internal = recommendation_for(model, command);
  if (command.json) {
    auto json = report::json_of(model, facts, cost ? &*cost : nullptr);
    if (before) json["before"] = report::json_of(*before);
    if (after) json["after"] = report::json_of(*after);
    if (internal) json["recommended"] = report::json_of(*internal);
    if (!banks.is_empty()) json["banks"] = job::banks_json(model, banks, banks_bytes);
    fmt::print("{}", report::json_text(json));
  } else if (command.cost) {
    fmt::print("{}\n{}", report::cost_table(model, *cost), report::cost_summary(*cost));
    if (internal)
      fmt::print("{}", report::internal_ram_text(*internal, cost->latency.milliseconds));
    print_schedule(model);
    if (before) fmt::print("\n{}", report::cost_comparison(*before, *after));
  } else {
    fmt::print("{}{}{}{}{}", report::to_text(model, facts), cost ? "\n" : "",
               cost ? report::cost_summary(*cost) : "", banks.is_empty() ? "" : "\n",
               banks.is_empty() ? "" : job::banks_text(model, banks, banks_bytes));
  }
} catch (Error& error) {
  throw error.file(command.file.path.string());
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("inspect", "Show what is in an .onnx or .espdl file");
  const auto command = std::make_shared<InspectCommand>();
  add_model_file(sub, command->file);
  sub.add_flag("--simplified", command->simplified,
               ".onnx: as it is quantized, after all graph rewrites");
  add_network_options(sub, command->network);
  auto* json = sub.add_flag("--json", command->json, "Print JSON");
  sub.add_flag("--info", command->info, ".espdl: the .info text, every element included")
      ->excludes(json);
  sub.add_flag("--cost", command->cost,
               ".espdl: milliseconds of each node and the place of its output in memory");
  sub.add_option("--before", command->before,
                 ".espdl, with --cost: another file beside it, as what optimize was given")
      ->type_name("FILE");
  add_target(sub, command->file);
  add_banks(sub, command->file);
  add_board(sub, command->board);
  add_report(sub, command->report);
  sub.add_option_function<std::string>(
         "--internal-ram",
         [command](const std::string& text) {
           command->planner.max_internal_size = static_cast<std::size_t>(*parse_bytes(text));
         },
         ".espdl: internal RAM that dl::Model may use for activations, as 64K (default 0)")
      ->check(internal_ram_size())
      ->type_name("BYTES");
  sub.add_flag_callback(
      "--parameters-in-flash", [command] { command->planner.copy_parameters = false; },
      ".espdl: dl::Model does not copy parameters to RAM (param_copy = false)");
  sub.footer(
      "Examples:\n"
      "  espquant inspect model.onnx --simplified\n"
      "  espquant inspect model.espdl --cost\n"
      "  espquant inspect faster.espdl --cost --before model.espdl\n"
      "  espquant inspect model.espdl --json\n"
      "  espquant inspect model.espdl --report page.html\n");
  sub.callback([command, &context] {
    if (job::is_network(command->file.path))
      inspect_onnx(*command);
    else
      inspect_espdl(*command, context.command_line);
  });
}

}  // namespace espquant::cli
