#include "cost/latency.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/board_options.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cost/profile.h"
#include "job/latency_json.h"
#include "report/cost_table.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct LatencyCommand {
  job::ModelFile file;
  job::BoardOptions board;
  cost::PlannerOptions planner;
  fs::path profile, save;
  bool json = false;
};

void print_table(const cost::LatencyEstimate& latency, const cost::Profile* profile) {
  using enum report::Table::Align;
  std::vector<report::Table::Column> columns = {
      {"node", Left}, {"type", Left}, {"MMAC", Right}, {"ms", Right}, {"waiting", Right}};
  if (profile != nullptr) columns.push_back({"measured", Right});
  report::Table table(std::move(columns));
  for (std::size_t n = 0; n < latency.nodes.size(); ++n) {
    const auto& node = latency.nodes[n];
    std::vector<std::string> cells = {node.node, node.op,
                                      node.macs > 0 ? fmt::format("{:.2f}", node.macs / 1e6) : "",
                                      report::milliseconds_text(node.milliseconds),
                                      report::milliseconds_text(node.memory_milliseconds)};
    if (profile != nullptr)
      cells.push_back(
          profile->milliseconds[n] ? report::milliseconds_text(*profile->milliseconds[n]) : "");
    table.add_row(std::move(cells));
  }
  fmt::print("{}\n", table.to_string());
}

cost::Profile read_profile(const fs::path& path, const espdl::Model& model) try {
  constexpr std::uint64_t kLargestLog = 64 << 20;
  const auto bytes = read_file(path, kLargestLog);
  return cost::parse_profile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, model);
} catch (Error& error) {
  throw error.file(path.string());
}

cost::ProfileFit fit(const LatencyCommand& command, const espdl::Model& model, const Target& target,
                     const cost::Profile& profile, cost::LatencyOptions& options) {
  options.parameters_in_flash = !command.planner.copy_parameters;
  options.internal_tensors =
      cost::internal_tensors_of(cost::plan_memory(model, target, command.planner));
  const cost::Board before = options.board ? *options.board : cost::board_of(target);
  return cost::fit_to_profile(model, target, before, profile, options);
}

void run_latency(const LatencyCommand& command, const Context& context) {
  if (!command.save.empty() && command.profile.empty())
    throw Error(ErrorCode::Usage, "--out writes what --fit finds")
        .remedy("Give --fit what model->profile() printed");
  if (!command.profile.empty() && command.board.cores != 1)
    throw Error(ErrorCode::Usage, "model->profile() measures on one core")
        .remedy("Leave out --cores");
  const espdl::Model model = command.file.load();
  const Target& target = command.file.target_for(model);
  cost::LatencyOptions options = command.board.latency_for(target, print_note);
  std::optional<cost::Profile> profile;
  std::optional<cost::ProfileFit> fitted;
  if (!command.profile.empty()) {
    profile = read_profile(command.profile, model);
    fitted = fit(command, model, target, *profile, options);
    options.board = fitted->board;
  }
  const auto cost = report::cost_of(model, target, command.planner, options);
  if (!command.save.empty()) {
    OutputFiles output;
    output.add(command.save, cost::board_text({*options.board, std::string(target.name),
                                               std::string(target.release.version)}));
    output.commit();
  }
  const auto* measured = profile ? &*profile : nullptr;
  if (command.json) {
    const auto json = job::latency_json(command.file.path.string(), target, cost.latency, measured);
    fmt::print("{}", report::json_text(json));
    return;
  }
  if (!context.quiet) print_table(cost.latency, measured);
  if (fitted) {
    fmt::print("measured     {} ms\n", report::milliseconds_text(profile->sum()));
    fmt::print("usual board  {:+.0f} % in all, {:.0f} % per node\n", 100 * fitted->total_before,
               100 * fitted->nodes_before);
    fmt::print("fitted       {:.0f} % per node\n", 100 * fitted->nodes_after);
  }
  fmt::print("latency      {}, ESP-DL {}\n             from {}\n",
             report::latency_text(cost.latency), target.release.version, cost.latency.basis);
  if (!command.save.empty() && !context.quiet) fmt::print("Wrote {}\n", command.save.string());
}

}  // namespace

void add_latency(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand("latency", "Estimate what one run of an .espdl takes on a board");
  const auto command = std::make_shared<LatencyCommand>();
  add_model_file(sub, command->file);
  add_target(sub, command->file);
  add_board(sub, command->board);
  sub.add_option("--internal-ram", command->planner.max_internal_size,
                 "Bytes of internal RAM that dl::Model may use for activations (default 0)")
      ->type_name("BYTES");
  sub.add_flag_callback(
      "--parameters-in-flash", [command] { command->planner.copy_parameters = false; },
      "dl::Model does not copy parameters to RAM (param_copy = false)");
  sub.add_option("--fit", command->profile,
                 "Fit the board's times to this log, which holds what model->profile() printed")
      ->type_name("LOG");
  sub.add_option("--out,-o", command->save, "Where the fitted board goes, for --board")
      ->type_name("FILE");
  sub.add_flag("--json", command->json, "Print JSON");
  sub.footer(
      "Examples:\n"
      "  espquant latency model.espdl\n"
      "  espquant latency model.espdl --fit profile.txt --out board.toml\n"
      "  espquant latency other.espdl --board board.toml\n");
  sub.callback([command, &context] {
    try {
      run_latency(*command, context);
    } catch (Error& error) {
      throw error.file(command->file.path.string());
    }
  });
}

}  // namespace espquant::cli
