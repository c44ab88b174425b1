#include <gtest/gtest.h>

#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

/// int16 networks for the ESP32-P4 with what its vector unit gives, mostly where the portable
/// kernels give something else: that is what is simulated unless one asks for the latter.
TEST(P4Vector, GivesWhatTheVectorUnitGives) {
  ESPQUANT_NEEDS_SHARED("p4_vector");
  GoldenSummary summary("p4_vector");
  int portable_differ = 0;
  for (const fs::path& npz_file : files_below(shared_dir() / "p4_vector", ".npz")) {
    // <network>.<frame>.npz belongs to <network>.espdl.
    const fs::path network = npz_file.stem().stem();
    const fs::path file = npz_file.parent_path() / (network.string() + ".espdl");
    const espdl::Model model = espdl::read_model_file(file);
    const auto npz = data::read_npz(npz_file);
    const auto verified = [&](sim::Options options) {
      const sim::Program program(model, find_target("esp32p4"), options);
      return sim::verify(program, entries(npz, "input:"), entries(npz, "output:"),
                         {sim::Tolerance::Exact});
    };
    run_case(summary, npz_file.stem().string(), [&] { return verified({}); });
    for (const sim::OutputCheck& check : verified({.p4_portable_kernels = true}))
      portable_differ += check.passed() ? 0 : 1;
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
  EXPECT_GT(portable_differ, 0);
}

}  // namespace
}  // namespace espquant::test
