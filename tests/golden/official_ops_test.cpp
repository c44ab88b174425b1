#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

class OfficialOps : public testing::TestWithParam<const char*> {};

bool all_passed(const std::vector<sim::OutputCheck>& checks) {
  return std::all_of(checks.begin(), checks.end(),
                     [](const sim::OutputCheck& c) { return c.passed(); });
}

/// Espressif's own cases, by the rule of their test on the device. Where the target is not
/// recorded, either rounding may be the right one.
TEST_P(OfficialOps, PassTheTestOfTheDevice) {
  ESPQUANT_NEEDS_SHARED("golden/official_ops");
  const std::string folder = GetParam();
  const fs::path root = shared_dir() / "golden/official_ops" / folder;
  GoldenSummary summary("official_ops/" + folder);
  for (const fs::path& file : files_below(root, ".espdl")) {
    run_case(summary, fs::relative(file, root).string(), [&] {
      const espdl::Model model = espdl::read_model_file(file);
      if (folder != "unknown") return run_test_values(model, find_target(folder), {});
      const auto checks = run_test_values(model, find_target("esp32s3"), {});
      return all_passed(checks) ? checks : run_test_values(model, find_target("esp32p4"), {});
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Targets, OfficialOps,
                         testing::Values("c", "esp32p4", "esp32s3", "unknown"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
