#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/npz.h"
#include "espdl/reader.h"
#include "sim/verify.h"

namespace espquant::test {

/// What became of the cases of one folder.
struct GoldenSummary {
  explicit GoldenSummary(std::string name) : folder(std::move(name)) {}

  std::string folder;
  int cases = 0, exact = 0, within_tolerance = 0;
  /// Case -> reason that the test lists for it.
  std::map<std::string, std::string> known;
  /// Case -> what is wrong.
  std::map<std::string, std::string> failed;

  void print() const;
};

/// Every .espdl file (or other extension) below `folder`, sorted.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                               const std::string& extension);

/// The entries "input:<name>" or "output:<name>" of an npz, by name.
std::map<std::string, Tensor> entries(const std::map<std::string, Tensor>& npz,
                                      const std::string& prefix);

/// As golden results were recorded, on a PC: where the P4's vector unit differs, by the portable
/// kernels.
inline constexpr sim::Options kAsOnAPc{.p4_portable_kernels = true};

/// The chip under the release of ESP-DL that they were recorded with, 3.3.9.
const Target& recorded_target(std::string_view chip);

/// Runs the model on its own test values.
std::vector<sim::OutputCheck> run_test_values(const espdl::Model& model, const Target& target,
                                              const sim::VerifyOptions& options);

/// The same test inputs, compared with given outputs.
std::vector<sim::OutputCheck> run_test_inputs(const espdl::Model& model, const Target& target,
                                              const std::map<std::string, Tensor>& expected,
                                              const sim::VerifyOptions& options);

/// Files the result of one case: exact, within tolerance, or failed.
void record(GoldenSummary& summary, const std::string& name,
            const std::vector<sim::OutputCheck>& checks);

/// Runs `check_case` and files what it returns; an exception is a failure.
void run_case(GoldenSummary& summary, const std::string& name,
              const std::function<std::vector<sim::OutputCheck>()>& check_case);

}  // namespace espquant::test
