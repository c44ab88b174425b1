#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

const std::string kCompareExample = source_dir().string() + "/examples/gesture/";

Outcome compare(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"compare",       kCompareExample + "gesture.onnx",
                                     "--calib",       kCompareExample + "calib.npz",
                                     "--calib-count", "8",
                                     "--out",         out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

std::string model_of(const std::string& out, const std::string& recipe) {
  return out + "/gesture_" + recipe + "/gesture_" + recipe + ".espdl";
}

nlohmann::json summary_of(const std::string& out) {
  const auto bytes = read_file(out + "/compare.json");
  return nlohmann::json::parse(reinterpret_cast<const char*>(bytes.data()),
                               reinterpret_cast<const char*>(bytes.data()) + bytes.size());
}

TEST(Compare, WritesWhatQuantizeWouldAndVerifies) {
  const TemporaryFolder folder;
  const auto out = folder.path("out");
  const auto outcome = compare(out);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const std::string recipe : {"int8", "mixed", "balanced"}) {
    const auto verified = run_program({"verify", model_of(out, recipe), "--tolerance", "exact"});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
    const auto alone = run_program({"quantize", kCompareExample + "gesture.onnx", "--calib",
                                    kCompareExample + "calib.npz", "--calib-count", "8", "--recipe",
                                    recipe, "--out", folder.path("alone")});
    ASSERT_EQ(alone.exit_code, 0) << alone.err;
    for (const std::string extension : {".espdl", ".info", ".json", ".compile_req.yml"}) {
      const auto file = std::filesystem::path(model_of("", recipe)).replace_extension(extension);
      EXPECT_EQ(read_file(out + file.string()), read_file(folder.path("alone") + file.string()))
          << file;
    }
  }
}

TEST(Compare, PrintsOneTableWithinAHundredColumns) {
  const TemporaryFolder folder;
  const auto outcome = compare(
      folder.path("out"), {"--recipe", "int8,balanced", "--set", "quantization.alignment_cost=2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    const bool names_a_path = line.rfind("Wrote ", 0) == 0;
    EXPECT_TRUE(names_a_path || line.size() <= 100) << line;
  }
  for (const char* word : {"int8", "balanced", "* beaten by none", "accuracy"})
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << "\n" << outcome.out;
}

TEST(Compare, RearrangesEachForTheGoal) {
  const TemporaryFolder folder;
  const auto outcome =
      compare(folder.path("out"), {"--recipe", "int8,dynamic", "--fit", "ram=160K"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // Banks know the file as it was before.
  EXPECT_NE(outcome.err.find("'dynamic' is refused: banks"), std::string::npos) << outcome.err;
  const auto recipes = summary_of(folder.path("out"))["recipes"];
  EXPECT_LE(recipes[0]["activation_bytes"], 160 * 1024);
  const auto alone = run_program({"quantize", kCompareExample + "gesture.onnx", "--calib",
                                  kCompareExample + "calib.npz", "--calib-count", "8", "--fit",
                                  "ram=160K", "--out", folder.path("alone")});
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_EQ(read_file(model_of(folder.path("out"), "int8")),
            read_file(model_of(folder.path("alone"), "int8")));
}

TEST(Compare, TheSummaryIsTheSameFromRunToRun) {
  const TemporaryFolder folder;
  const std::vector<std::string> recipes{"--recipe", "int8,int16", "--data",
                                         kCompareExample + "calib.npz"};
  ASSERT_EQ(compare(folder.path("one"), recipes).exit_code, 0);
  std::vector<std::string> otherwise = recipes;
  otherwise.insert(otherwise.end(), {"--json", "--threads", "1"});
  const auto printed = compare(folder.path("two"), otherwise);
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(read_file(folder.path("one") + "/compare.json"),
            read_file(folder.path("two") + "/compare.json"));

  auto summary = nlohmann::json::parse(printed.out);
  for (auto& recipe : summary["recipes"]) EXPECT_EQ(recipe.erase("seconds"), 1u);
  EXPECT_EQ(summary, summary_of(folder.path("two")));
  EXPECT_EQ(summary["samples"], 256);
  EXPECT_GT(summary["float_accuracy"], 0.9);
  const auto& int8 = summary["recipes"][0];
  const auto& int16 = summary["recipes"][1];
  EXPECT_EQ(int8["layers_16bit"], 0);
  EXPECT_EQ(int16["layers_16bit"], int16["layers"]);
  EXPECT_LT(int16["noise_to_signal"], int8["noise_to_signal"]);
  EXPECT_EQ(int8["file_bytes"], std::filesystem::file_size(model_of(folder.path("two"), "int8")));
  EXPECT_TRUE(int8["unbeaten"]);
  EXPECT_TRUE(int16["unbeaten"]);
}

TEST(Compare, ARecipeThatTheChipRefusesIsShownAmongTheOthers) {
  const TemporaryFolder folder;
  const auto mine = folder.path("mine.toml");
  write_text(mine, "name = \"mine\"\n[quantization]\ngranularity = \"channel\"\n");
  const auto out = folder.path("out");
  const auto outcome = compare(out, {"--recipe", "int8," + mine});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("refused"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("per channel"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(out + "/gesture_mine"));
  const auto recipes = summary_of(out)["recipes"];
  EXPECT_TRUE(recipes[0]["unbeaten"]);
  EXPECT_NE(recipes[1]["refused"].get<std::string>().find("per channel"), std::string::npos);
}

TEST(Compare, WhereAllAreRefusedNothingIsWritten) {
  const TemporaryFolder folder;
  const auto out = folder.path("out");
  const auto outcome =
      compare(out, {"--recipe", "int8,int16", "--set", "quantization.granularity=channel"});
  expect_one_error(outcome, 1, "all recipes are refused: int8:");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(Compare, MistakesInTheListAreNamed) {
  const TemporaryFolder folder;
  const auto out = folder.path("out");
  expect_one_error(compare(out, {"--recipe", "int8,balansed"}), 2, "'balanced'");
  expect_one_error(compare(out, {"--recipe", "int8,int8"}), 2, "two recipes are called 'int8'");
  const auto mine = folder.path("mine.toml");
  write_text(mine, "target = \"esp32p4\"\n");
  const auto other = folder.path("other.toml");
  write_text(other, "target = \"esp32s3\"\n");
  expect_one_error(compare(out, {"--recipe", mine + "," + other}), 2, "different chips");
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace espquant::test
