#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string_view>

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

/// Files that ESP-DL 3.3.9 itself no longer runs. Each is recognised by the rule that refuses it.
struct KnownDifference {
  std::string_view refusal, reason;
};
constexpr std::array kKnownDifferences = {
    KnownDifference{"the bias of an int16 convolution must be int64",
                    "stored with the int32 bias of old exporters, which ESP-DL now asserts against "
                    "(ESP-DL 4.2)"},
    KnownDifference{"input 0 is float64",
                    "exported without quantization, in float64, which ESP-DL has no kernels for"},
    KnownDifference{"ESP-DL reads one slope per channel",
                    "slopes stored for the first of three axes; ESP-DL now reads them along the "
                    "last (ESP-DL 3.12)"},
};

void set_known_differences_apart(GoldenSummary& summary) {
  for (const KnownDifference& known : kKnownDifferences) {
    for (auto failure = summary.failed.begin(); failure != summary.failed.end();) {
      if (failure->second.find(known.refusal) == std::string::npos) {
        ++failure;
        continue;
      }
      summary.known.emplace(failure->first, known.reason);
      failure = summary.failed.erase(failure);
    }
  }
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
  set_known_differences_apart(summary);
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Targets, OfficialOps,
                         testing::Values("c", "esp32p4", "esp32s3", "unknown"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
