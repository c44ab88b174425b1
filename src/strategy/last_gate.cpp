#include "strategy/last_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "espdl/reader.h"
#include "espdl/writer.h"
#include "measure/planned_memory.h"
#include "sim/fault_texts.h"
#include "sim/verify.h"

namespace espquant::strategy {
namespace {

constexpr std::string_view kReport =
    "This is a fault of espquant: please report it with the command and the model";

Error own_fault(std::string message) {
  return Error(ErrorCode::Internal, std::move(message)).remedy(kReport);
}

bool is_same(const espdl::Model& a, const espdl::Model& b) {
  return a.nodes == b.nodes && a.initializers == b.initializers && a.values == b.values &&
         a.inputs == b.inputs && a.outputs == b.outputs && a.test_inputs == b.test_inputs &&
         a.test_outputs == b.test_outputs && a.metadata == b.metadata && a.name == b.name;
}

/// What a network may ask for that the runtime cannot do, as opposed to what nobody may write.
bool lies_in_the_network(const sim::Finding& finding) {
  static constexpr std::array<std::string_view, 3> kOfOperators = {"illegal", "unsupported",
                                                                   "overwritten"};
  const auto faults = sim::fault_texts();
  return std::find(kOfOperators.begin(), kOfOperators.end(), finding.name) != kOfOperators.end() ||
         std::any_of(faults.begin(), faults.end(),
                     [&](const sim::FaultText& fault) { return fault.name == finding.name; });
}

using Findings = std::vector<sim::Finding>;

bool has_finding(const Findings& findings, const std::string& name) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const sim::Finding& finding) { return finding.name == name; });
}

void refuse_defects(const Findings& findings, const Findings& of_original) {
  for (const auto& finding : findings) {
    if (finding.severity != sim::Severity::Defect || has_finding(of_original, finding.name))
      continue;
    if (lies_in_the_network(finding))
      throw Error(ErrorCode::Illegal, fmt::format("on the chip, {} ({}, {})", finding.message,
                                                  finding.name, finding.rule))
          .node(finding.node)
          .tensor(finding.tensor)
          .remedy(finding.remedy);
    throw own_fault(fmt::format("the file would be defective: {} ({}, {})", finding.message,
                                finding.name, finding.rule))
        .node(finding.node)
        .tensor(finding.tensor);
  }
}

std::vector<sim::OutputCheck> checks_of(const espdl::Model& model, const Target& target) {
  if (model.test_outputs.empty()) return {};
  const sim::Program program(model, target);
  return sim::verify_test_values(program, {.tolerance = sim::Tolerance::Exact});
}

void verify_again(const espdl::Model& model, const Target& target, const espdl::Model* original) {
  const auto as_before =
      original == nullptr ? std::vector<sim::OutputCheck>() : checks_of(*original, target);
  for (const auto& check : checks_of(model, target)) {
    if (check.passed()) continue;
    if (std::any_of(as_before.begin(), as_before.end(), [&](const sim::OutputCheck& other) {
          return other.name == check.name && other.mismatches == check.mismatches;
        }))
      continue;
    throw own_fault(check.problem.empty()
                        ? fmt::format("{} of {} elements differ from the test values",
                                      check.mismatches, check.elements)
                        : "the test values do not fit: " + check.problem)
        .tensor(check.name);
  }
}

}  // namespace

SoundFile pass_last_gate(const espdl::Model& model, const Target& target,
                         const espdl::Model* original) {
  std::vector<std::byte> bytes = espdl::write_model(model);
  std::vector<Error> defects;
  const espdl::Model back = espdl::read_model(bytes, {}, defects);
  // NaN in an attribute is equal to nothing, and the same byte for byte.
  if (defects.empty() && !is_same(back, model) && espdl::write_model(back) != bytes)
    throw own_fault("the file does not read back as it was written");
  refuse_defects(measure::check_model(back, target, defects),
                 original == nullptr ? Findings() : measure::check_model(*original, target));
  verify_again(back, target, original);
  return SoundFile(std::move(bytes));
}

SoundFile pass_last_gate(const QuantizedModel& made, const Target& target) {
  if (made.lost_output) throw Error(*made.lost_output);
  return pass_last_gate(made.model, target);
}

}  // namespace espquant::strategy
