#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

class S3Assembly : public testing::TestWithParam<const char*> {};

/// Extreme inputs for files of op_cases, with what the S3's published assembly gives.
TEST_P(S3Assembly, GivesTheSameOnExtremeInputs) {
  ESPQUANT_NEEDS_SHARED("golden/s3_assembly");
  const fs::path golden = shared_dir() / "golden";
  const fs::path root = golden / "s3_assembly" / GetParam();
  GoldenSummary summary(std::string("s3_assembly/") + GetParam());
  for (const fs::path& npz_file : files_below(root, ".npz")) {
    const fs::path relative = fs::relative(npz_file, root);
    run_case(summary, relative.string(), [&] {
      // <operator>/<case>.<pattern>.npz belongs to <operator>/<case>.espdl.
      const fs::path file = golden / "op_cases" / GetParam() / relative.parent_path() /
                            (relative.stem().stem().string() + ".espdl");
      const espdl::Model model = espdl::read_model_file(file);
      const auto npz = data::read_npz(npz_file);
      const sim::Program program(model, recorded_target("esp32s3"));
      return sim::verify(program, entries(npz, "input:"), entries(npz, "output:"),
                         {sim::Tolerance::Exact});
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Widths, S3Assembly, testing::Values("esp32s3_s8", "esp32s3_s16"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
