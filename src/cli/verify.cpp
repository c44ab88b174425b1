#include "job/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/validators.h"
#include "measure/bank_programs.h"
#include "measure/planned_memory.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

struct VerifyCommand {
  job::ModelFile file;
  std::filesystem::path against;
  sim::VerifyOptions options;
  sim::Options simulation;
  bool json = false;
};

std::vector<sim::OutputCheck> verify_stored(const sim::Program& program,
                                            const VerifyCommand& command) try {
  return sim::verify_test_values(program, command.options);
} catch (Error& error) {
  throw error.file(command.file.path.string());
}

bool is_exact(const sim::OutputCheck& check) {
  return check.problem.empty() && check.different == 0;
}

std::string verdict(const sim::OutputCheck& check) {
  if (!check.problem.empty()) return check.problem;
  if (check.different == 0) return "exact";
  if (check.passed()) return "within tolerance";
  return fmt::format("DIFFERS, first at {}", check.first);
}

std::string verify_table_of(const std::vector<sim::OutputCheck>& checks) {
  using enum report::Table::Align;
  report::Table table({{"output", Left},
                       {"elements", Right},
                       {"different", Right},
                       {"mismatches", Right},
                       {"largest", Right},
                       {"verdict", Left}});
  for (const auto& check : checks)
    table.add_row({check.name, report::with_separators(check.elements),
                   report::with_separators(check.different),
                   report::with_separators(check.mismatches), fmt::format("{:g}", check.largest),
                   verdict(check)});
  return table.to_string();
}

std::string verify_json_of(const std::vector<sim::OutputCheck>& checks, const sim::Program& program,
                           const VerifyCommand& command,
                           std::span<const cost::Overwrite> overwrites, bool passed,
                           std::size_t banks) {
  nlohmann::ordered_json json;
  json["file"] = command.file.path.string();
  json["target"] = program.target().name;
  json["espdl"] = program.target().release.version;
  json["tolerance"] = command.options.tolerance == sim::Tolerance::Exact ? "exact" : "espdl";
  json["passed"] = passed;
  if (banks > 0) json["banks"] = banks;
  json["outputs"] = nlohmann::ordered_json::array();
  for (const auto& check : checks)
    json["outputs"].push_back({{"name", check.name},
                               {"elements", check.elements},
                               {"different", check.different},
                               {"mismatches", check.mismatches},
                               {"largest", check.largest},
                               {"first", check.first},
                               {"problem", check.problem}});
  json["faults"] = nlohmann::ordered_json::array();
  for (const auto& fault : program.faults())
    json["faults"].push_back({{"node", fault.node}, {"name", fault.name}});
  for (const auto& overwrite : overwrites)
    json["faults"].push_back({{"node", overwrite.node}, {"name", "overwritten"}});
  return report::json_text(json);
}

void run_verify(const VerifyCommand& command, Context& context) {
  const espdl::Model model = command.file.load();
  sim::Program program(model, command.file.target_to_run(model), command.simulation);
  const auto overwrites = measure::compute_in_planned_memory(program);
  if (!command.json) {
    print_faults(program);
    print_overwrites(overwrites, kComputedAsPlanned);
  }
  // Each must be ready to run.
  const espdl::Banks banks = command.file.load_banks(model);
  const measure::BankPrograms programs(program, banks);
  const auto checks = command.against.empty()
                          ? verify_stored(program, command)
                          : job::verify_against(program, command.against, command.options);
  const auto count = [&](auto&& predicate) {
    return std::count_if(checks.begin(), checks.end(), predicate);
  };
  const auto passed = count([](const sim::OutputCheck& check) { return check.passed(); });
  const bool all_passed = passed == static_cast<std::ptrdiff_t>(checks.size());
  if (!all_passed) context.exit_code = 1;
  if (command.json) {
    fmt::print(
        "{}", verify_json_of(checks, program, command, overwrites, all_passed, banks.banks.size()));
  } else if (!context.quiet) {
    fmt::print("{}{} on {}: {} of {} outputs exact, {} within tolerance, {} differ\n",
               verify_table_of(checks), command.file.path.string(), program.target().name,
               count(is_exact), checks.size(), passed - count(is_exact),
               static_cast<std::ptrdiff_t>(checks.size()) - passed);
    if (!banks.banks.empty())
      fmt::print("{} banks of exponents beside the model's own belong to it\n", banks.banks.size());
  }
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto& sub = *app.add_subcommand(
      "verify", "Compare what the chip computes with the test values that an .espdl carries");
  const auto command = std::make_shared<VerifyCommand>();
  add_model_file(sub, command->file);
  add_target(sub, command->file);
  add_banks(sub, command->file);
  sub.add_option("--against", command->against,
                 "Compare with this file in place of the test values: arrays input:<tensor> "
                 "(quantized, in the file's layout) and output:<tensor>")
      ->type_name("NPZ");
  sub.add_option_function<std::string>(
         "--tolerance",
         [command = command.get()](const std::string& kind) {
           command->options.tolerance =
               kind == "exact" ? sim::Tolerance::Exact : sim::Tolerance::EspDl;
         },
         "espdl (default): int8 exact, int16 within 1, float within 2e-5, as ESP-DL's own test; or "
         "exact")
      ->check(one_of({"exact", "espdl"}))
      ->type_name("KIND");
  add_simulation(sub, command->simulation);
  sub.add_flag("--json", command->json, "Print JSON");
  sub.footer(
      "Examples:\n"
      "  espquant verify model.espdl\n"
      "  espquant verify model.espdl --target esp32p4 --against recorded.npz --tolerance exact\n");
  sub.callback([command, &context] { run_verify(*command, context); });
}

}  // namespace espquant::cli
