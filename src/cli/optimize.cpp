#include "schedule/optimize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/board_options.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "deploy/model_cost.h"
#include "report/compile_request.h"
#include "report/cost_comparison.h"
#include "report/json_text.h"
#include "schedule/same_integers.h"
#include "strategy/last_gate.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct OptimizeCommand {
  job::ModelFile file;
  fs::path out;
  std::string fit = "latency";
  std::vector<std::string> disabled;
  cost::PlannerOptions planner;
  job::BoardOptions board;
  bool compile_request = true;
  bool json = false;
};

fs::path request_beside(const fs::path& out) {
  fs::path path = out;
  return path.replace_extension(".compile_req.yml");
}

void write_optimized(const OptimizeCommand& command, const espdl::Model& model,
                     const Target& target, const strategy::SoundFile& file) {
  OutputFiles output;
  output.add(command.out, file.bytes());
  if (command.compile_request)
    output.add(
        request_beside(command.out),
        report::to_yaml(report::compile_request(model, target),
                        fmt::format("{}, {}", command.out.filename().string(), target.name)));
  output.commit();
}

void run_optimize(const OptimizeCommand& command, const Context& context) {
  if (!command.file.key.empty())
    throw Error(ErrorCode::Usage, "the result would not be encrypted any more")
        .remedy("Decrypt the file first, and encrypt the result");
  const schedule::OptimizeOptions options{schedule::parse_goal(command.fit), command.disabled};
  const auto bytes = read_file(command.file.path);
  const espdl::Model model = espdl::read_model(bytes, command.file.read_options());
  const Target& target = command.file.target_to_run(model);
  const schedule::Conditions conditions{target, command.board.latency_for(target, print_note),
                                        command.planner};
  const auto made = schedule::optimize(model, conditions, options);
  schedule::require_same_integers(model, made.model, target);
  const auto file = strategy::pass_last_gate(made.model, target, &model);
  write_optimized(command, made.model, target, file);
  if (context.quiet && !command.json) return;
  const auto figures = [&](const espdl::Model& one, std::size_t size) {
    return report::FileCost{report::cost_of(one, target, command.planner, conditions.latency), size,
                            one.nodes.size()};
  };
  const auto before = figures(model, bytes.size());
  const auto after = figures(made.model, file.bytes().size());
  const auto internal =
      deploy::recommended_internal_ram(made.model, target, command.planner, conditions.latency);
  if (command.json) {
    nlohmann::ordered_json json{{"file", command.out.string()},
                                {"target", target.name},
                                {"espdl", target.release.version},
                                {"fit", command.fit}};
    json["rewrites"] = nlohmann::ordered_json::array();
    for (const auto& record : made.done)
      json["rewrites"].push_back({{"name", record.name}, {"changes", record.changes}});
    json["before"] = report::json_of(before);
    json["after"] = report::json_of(after);
    if (internal) json["recommended"] = report::json_of(*internal);
    fmt::print("{}", report::json_text(json));
    return;
  }
  fmt::print("{}", report::cost_comparison(before, after));
  if (internal)
    fmt::print("\n{}", report::internal_ram_text(*internal, after.cost.latency.milliseconds));
  std::vector<std::string> done;
  for (const auto& record : made.done)
    done.push_back(fmt::format("{} {}", record.name, record.changes));
  fmt::print("\nfor {}, ESP-DL {}: {}\nWrote {}: every integer as before\n", target.name,
             target.release.version,
             done.empty() ? "nothing helps" : fmt::format("{}", fmt::join(done, ", ")),
             command.out.string());
}

}  // namespace

void add_optimize(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand(
      "optimize", "Rearrange an .espdl for its chip: the same integers, sooner or in less memory");
  const auto command = std::make_shared<OptimizeCommand>();
  add_model_file(sub, command->file);
  sub.add_option("--fit", command->fit,
                 "What for: latency, ram=SIZE (bytes for activations; K and M behind a number are "
                 "1024 and 1024 K), or ram=SIZE,latency")
      ->capture_default_str()
      ->type_name("GOAL");
  sub.add_option("--out,-o", command->out, "The result")->required()->type_name("FILE");
  sub.add_option("--disable", command->disabled, "A rewrite to leave out; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME");
  add_target(sub, command->file);
  add_board(sub, command->board);
  sub.add_flag_callback(
      "--parameters-in-flash", [command] { command->planner.copy_parameters = false; },
      "dl::Model does not copy parameters to RAM (param_copy = false)");
  add_compile_request_flag(sub, command->compile_request);
  sub.add_flag("--json", command->json, "Print JSON");
  sub.footer(
      "Examples:\n"
      "  espquant optimize model.espdl --out faster.espdl\n"
      "  espquant optimize model.espdl --fit ram=200K,latency --out smaller.espdl\n"
      "  espquant optimize model.espdl --espdl 3.3.9 --out faster.espdl\n");
  sub.callback([command, &context] {
    try {
      run_optimize(*command, context);
    } catch (Error& error) {
      throw error.file(command->file.path.string());
    }
  });
}

}  // namespace espquant::cli
