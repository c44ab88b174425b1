#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

/// Shipped networks on a pseudo-random input, every element, saturation on.
TEST(Zoo, GivesWhatEspDlGives) {
  ESPQUANT_NEEDS_SHARED("golden/zoo");
  GoldenSummary summary("zoo");
  for (const auto& file : files_below(shared_dir() / "golden/zoo", ".espdl")) {
    const std::string name = file.stem().string();
    run_case(summary, name, [&] {
      const espdl::Model model = espdl::read_model_file(file);
      const auto npz = data::read_npz(std::filesystem::path(file).replace_extension(".npz"));
      const sim::Program program(
          model, recorded_target(name.ends_with("_p4") ? "esp32p4" : "esp32s3"), kAsOnAPc);
      return sim::verify(program, entries(npz, "input:"), entries(npz, "output:"),
                         {sim::Tolerance::Exact});
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

}  // namespace
}  // namespace espquant::test
