#include <gtest/gtest.h>

#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

/// tests/malformed/make.py says what each of its files must end in.
void expect_refused(const std::string& part) {
  if (std::string(ESPQUANT_SANITIZE) != "")
    GTEST_SKIP() << "a sanitizer takes more address space than the limit";
  const std::string python = "/usr/bin/python3";
  if (run_shell("test -x " + python).exit_code != 0) GTEST_SKIP() << "needs " << python;
  const Outcome outcome =
      run_shell("PYTHONDONTWRITEBYTECODE=1 " + python + " '" +
                (source_dir() / "tests/malformed/make.py").string() + "' '" ESPQUANT_PROGRAM "' '" +
                (source_dir() / "examples").string() + "' " + part);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
}

TEST(Malformed, NetworksAreRefused) { expect_refused("onnx"); }
TEST(Malformed, ModelsAreRefused) { expect_refused("espdl"); }
TEST(Malformed, ArraysAreRefused) { expect_refused("np"); }
TEST(Malformed, PicturesAreRefused) { expect_refused("picture"); }
TEST(Malformed, RecipesAreRefused) { expect_refused("recipe"); }

}  // namespace
}  // namespace espquant::test
