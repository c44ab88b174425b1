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

void narrow_to_float(Tensor& tensor) {
  if (tensor.dtype() == DType::Float64) tensor = tensor.cast(DType::Float32);
}

/// Everything that is float64 as float32.
void store_in_float32(espdl::Model& model) {
  for (espdl::ValueInfo& value : model.values)
    if (value.dtype == DType::Float64) value.dtype = DType::Float32;
  for (auto* list : {&model.initializers, &model.test_inputs, &model.test_outputs})
    for (espdl::Constant& constant : *list) narrow_to_float(constant.data);
}

/// Activations of four axes from N,C,H,W to N,H,W,C.
void store_channels_last(espdl::Model& model) {
  constexpr std::array<std::int64_t, 4> kOrder = {0, 2, 3, 1};
  for (espdl::ValueInfo& value : model.values)
    if (value.shape.size() == 4) value.shape = permuted(value.shape, kOrder);
  for (auto* list : {&model.test_inputs, &model.test_outputs})
    for (espdl::Constant& constant : *list)
      if (constant.data.rank() == 4) constant.data = constant.data.transposed(kOrder);
}

/// Files that ESP-DL 3.3.9 itself no longer runs, or never ran. Each is recognised by the rule that
/// refuses it. That this rule is the only difference is shown by storing the same numbers as it
/// wants them: then the case must pass.
struct KnownDifference {
  std::string_view refusal, reason;
  void (*as_today)(espdl::Model&);
};
constexpr std::array kKnownDifferences = {
    KnownDifference{"input 0 is float64",
                    "exported without quantization, in float64, for which ESP-DL has no kernel; "
                    "passes in float32",
                    store_in_float32},
    KnownDifference{"ESP-DL reads one slope per channel",
                    "PRelu stored N,C,H,W, where ESP-DL reads slopes along the last axis (ESP-DL "
                    "3.12); passes stored N,H,W,C",
                    store_channels_last},
};

void set_known_differences_apart(GoldenSummary& summary, const fs::path& root,
                                 const Target& target) {
  const std::map<std::string, std::string> failed = summary.failed;
  for (const auto& [name, what] : failed) {
    for (const KnownDifference& known : kKnownDifferences) {
      if (what.find(known.refusal) == std::string::npos) continue;
      espdl::Model model = espdl::read_model_file(root / name);
      known.as_today(model);
      if (!all_passed(run_test_values(model, target, {}))) continue;
      summary.known.emplace(name, known.reason);
      summary.failed.erase(name);
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
      if (folder != "unknown") return run_test_values(model, recorded_target(folder), {});
      const auto checks = run_test_values(model, recorded_target("esp32s3"), {});
      return all_passed(checks) ? checks : run_test_values(model, recorded_target("esp32p4"), {});
    });
  }
  if (folder != "unknown") set_known_differences_apart(summary, root, recorded_target(folder));
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Targets, OfficialOps,
                         testing::Values("c", "esp32p4", "esp32s3", "unknown"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
