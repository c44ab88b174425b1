#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

TEST(Recipes, AreListed) {
  const auto outcome = run_program({"recipes"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name : {"int8", "mixed", "balanced", "w8a16", "int16", "8 bits everywhere"})
    EXPECT_NE(outcome.out.find(name), std::string::npos) << name;
}

TEST(Recipes, ArePrintedAsTheyAre) {
  const auto outcome = run_program({"recipes", "balanced"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto file = read_file(source_dir() / "recipes/balanced.toml");
  EXPECT_EQ(outcome.out, std::string(reinterpret_cast<const char*>(file.data()), file.size()));
}

TEST(Recipes, PrintedOnesCanBeEdited) {
  const TemporaryFolder folder;
  const std::string mine = folder.path("mine.toml");
  write_text(mine, run_program({"recipes", "mixed"}).out + "budget_kb = 16\n");
  const auto outcome = run_program({"recipes", mine, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["mixed"]["budget_kb"], 16);
}

TEST(Recipes, AsJsonTellEveryKey) {
  const auto all = nlohmann::json::parse(run_program({"recipes", "--json"}).out);
  const auto one = nlohmann::json::parse(run_program({"recipes", "mixed", "--json"}).out);
  EXPECT_EQ(all.at(1), one);
  EXPECT_EQ(one["mixed"]["max_16bit"], 4);
  EXPECT_EQ(one["calibration"]["method"], "auto");
}

TEST(Recipes, UnknownNameIsCorrected) {
  expect_one_error(run_program({"recipes", "mixd"}), 2, "'mixed'");
}

TEST(Recipes, MistakesAreNamed) {
  const TemporaryFolder folder;
  const std::string mine = folder.path("mine.toml");
  write_text(mine, "[mixed]\nenabled = true\nmax_16bits = 4\n");
  expect_one_error(run_program({"recipes", mine}), 2, "mine.toml: line 3: there is no key");
  write_text(mine, "[mixed\n");
  expect_one_error(run_program({"recipes", mine}), 2, "mine.toml: line 1");
}

}  // namespace
}  // namespace espquant::test
