#include "tests/golden/golden_runner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace espquant::test {

void GoldenSummary::print() const {
  fmt::print("{}: {} cases, {} exact, {} within tolerance, {} known differences, {} failed\n",
             folder, cases, exact, within_tolerance, known.size(), failed.size());
  for (const auto& [name, reason] : known) fmt::print("  known: {}: {}\n", name, reason);
  for (const auto& [name, what] : failed) fmt::print("  FAILED: {}: {}\n", name, what);
}

const Target& recorded_target(std::string_view chip) {
  return find_target(chip).under(find_release("3.3.9"));
}

std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                               const std::string& extension) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == extension) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::map<std::string, Tensor> entries(const std::map<std::string, Tensor>& npz,
                                      const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const auto& [key, tensor] : npz)
    if (key.starts_with(prefix)) found.emplace(key.substr(prefix.size()), tensor);
  return found;
}

namespace {

/// Whether what was in a frame's buffers before shows in its outputs.
std::vector<sim::OutputCheck> stale_outputs(const sim::Program& program) {
  std::map<std::string, Tensor> first;
  std::vector<sim::OutputCheck> stale;
  for (const std::byte before : {std::byte{0}, std::byte{0x5A}}) {
    sim::Program::Frame frame(program);
    for (std::size_t t = 0; t < program.tensor_count(); ++t)
      std::ranges::fill(frame.bytes(t), before);
    for (const espdl::Constant& value : program.model().test_inputs)
      frame.set(program.tensor_index(value.name), value.data);
    frame.run();
    for (std::size_t t : program.outputs()) {
      const auto [known, fresh] = first.emplace(program.tensor_name(t), frame.tensor(t));
      if (fresh || known->second.equals(frame.tensor(t))) continue;
      stale.emplace_back().name = program.tensor_name(t);
      stale.back().problem = "it depends on what the buffers held before the run";
    }
  }
  return stale;
}

}  // namespace

std::vector<sim::OutputCheck> run_test_values(const espdl::Model& model, const Target& target,
                                              const sim::VerifyOptions& options) {
  const sim::Program program(model, target, kAsOnAPc);
  std::vector<sim::OutputCheck> checks = sim::verify_test_values(program, options);
  for (sim::OutputCheck& check : stale_outputs(program)) checks.push_back(std::move(check));
  return checks;
}

std::vector<sim::OutputCheck> run_test_inputs(const espdl::Model& model, const Target& target,
                                              const std::map<std::string, Tensor>& expected,
                                              const sim::VerifyOptions& options) {
  const sim::Program program(model, target, kAsOnAPc);
  std::map<std::string, Tensor> inputs;
  for (const espdl::Constant& value : model.test_inputs) inputs.emplace(value.name, value.data);
  return sim::verify(program, inputs, expected, options);
}

void record(GoldenSummary& summary, const std::string& name,
            const std::vector<sim::OutputCheck>& checks) {
  std::string wrong;
  bool exact = true;
  for (const sim::OutputCheck& check : checks) {
    exact &= check.different == 0 && check.problem.empty();
    if (check.passed()) continue;
    wrong +=
        check.problem.empty()
            ? fmt::format("{}: {} of {} elements differ, by up to {}, first at {}; ", check.name,
                          check.mismatches, check.elements, check.largest, check.first)
            : fmt::format("{}: {}; ", check.name, check.problem);
  }
  if (!wrong.empty()) {
    summary.failed.emplace(name, wrong);
  } else {
    ++(exact ? summary.exact : summary.within_tolerance);
  }
}

void run_case(GoldenSummary& summary, const std::string& name,
              const std::function<std::vector<sim::OutputCheck>()>& check_case) {
  ++summary.cases;
  try {
    const std::vector<sim::OutputCheck> checks = check_case();
    if (checks.empty()) {
      summary.failed.emplace(name, "nothing was compared");
    } else {
      record(summary, name, checks);
    }
  } catch (const std::exception& error) {
    summary.failed.emplace(name, error.what());
  }
}

}  // namespace espquant::test
