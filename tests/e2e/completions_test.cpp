#include <gtest/gtest.h>

#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

/// What bash offers behind these words.
std::string offered(const std::string& words) {
  const Outcome script = run_program({"completions", "bash"});
  EXPECT_EQ(script.exit_code, 0);
  const TemporaryFolder folder;
  write_text(folder.path("espquant"), script.out);
  const Outcome outcome =
      run_shell("bash -c 'source " + folder.path("espquant") + "; COMP_WORDS=(espquant " + words +
                "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _espquant; echo ${COMPREPLY[@]}'");
  return outcome.out;
}

TEST(Completions, OfferCommandsAndTheirOptionsInBash) {
  EXPECT_EQ(offered("quan"), "quantize\n");
  EXPECT_EQ(offered("quantize model.onnx --cali"), "--calib --calib-count\n");
  EXPECT_EQ(offered("--quiet run --kern"), "--kernels\n");
  EXPECT_EQ(offered("inspect --calib"), "\n");
}

TEST(Completions, HoldEveryCommandForEveryShell) {
  for (const char* shell : {"zsh", "fish", "man"}) {
    const Outcome outcome = run_program({"completions", shell});
    EXPECT_EQ(outcome.exit_code, 0);
    for (const char* command : {"quantize", "compare", "latency", "package", "decrypt"})
      EXPECT_NE(outcome.out.find(command), std::string::npos) << shell << ": " << command;
  }
  expect_one_error(run_program({"completions", "tcsh"}), 2, "tcsh");
}

}  // namespace
}  // namespace espquant::test
