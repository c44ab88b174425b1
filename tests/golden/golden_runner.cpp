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

std::vector<sim::OutputCheck> run_test_values(const espdl::Model& model, const Target& target,
                                              const sim::VerifyOptions& options) {
  const sim::Program program(model, target);
  return sim::verify_test_values(program, options);
}

std::vector<sim::OutputCheck> run_test_inputs(const espdl::Model& model, const Target& target,
                                              const std::map<std::string, Tensor>& expected,
                                              const sim::VerifyOptions& options) {
  const sim::Program program(model, target);
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
