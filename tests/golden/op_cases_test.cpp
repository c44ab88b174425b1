#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

/// EXPECT.tsv: file -> exact, within-1 or float-ulp.
std::map<std::string, std::string> read_expectations(const fs::path& file) {
  std::ifstream in(file);
  std::map<std::string, std::string> expectations;
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const std::size_t tab = line.find('\t');
    expectations[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return expectations;
}

/// "esp32s3_s8" names the target before its last underscore.
const Target& target_of_folder(const std::string& folder) {
  return recorded_target(folder.substr(0, folder.rfind('_')));
}

class OpCases : public testing::TestWithParam<const char*> {};

/// One small network per operator and configuration. What ESP-DL itself gives is the truth: the
/// values in the file where it agrees with them, else its own outputs beside the file.
TEST_P(OpCases, GiveWhatEspDlGives) {
  ESPQUANT_NEEDS_SHARED("golden/op_cases");
  const fs::path root = shared_dir() / "golden/op_cases";
  const std::string folder = GetParam();
  const Target& target = target_of_folder(folder);
  GoldenSummary summary("op_cases/" + folder);
  for (const auto& [file, expectation] : read_expectations(root / "EXPECT.tsv")) {
    if (!file.starts_with(folder + "/")) continue;
    run_case(summary, file, [&, &file = file, &expectation = expectation] {
      const espdl::Model model = espdl::read_model_file(root / file);
      if (expectation == "exact") return run_test_values(model, target, {sim::Tolerance::Exact});
      const fs::path npz = (root / file).replace_extension(".esp_dl.npz");
      const auto expected = entries(data::read_npz(npz), "output:");
      // Integers must be exact; floats may differ in the last bits of libm's results.
      sim::VerifyOptions options{sim::Tolerance::Exact};
      if (expectation == "float-ulp") options = {sim::Tolerance::EspDl, 2e-6};
      return run_test_inputs(model, target, expected, options);
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Folders, OpCases,
                         testing::Values("c_s8", "esp32p4_s16", "esp32p4_s8", "esp32s3_s16",
                                         "esp32s3_s8"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
