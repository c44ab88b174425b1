#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

class ShrinkCommand : public testing::Test {
 protected:
  Outcome shrink(std::vector<std::string> more) {
    std::vector<std::string> words{
        "shrink", example + "gesture.onnx", "--calib", example + "calib.npz", "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

  TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string(),
                    out = folder.path("out");
};

TEST_F(ShrinkCommand, WritesASmallerNetworkAndItsFiles) {
  const Outcome made =
      shrink({"--calib-count", "32", "--latency", "-40%", "--steps", "4", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto json = nlohmann::json::parse(made.out);
  EXPECT_TRUE(json["met"]);
  EXPECT_LE(json["after"]["milliseconds"], 0.6 * json["before"]["milliseconds"].get<double>());
  // What was priced is what came out.
  EXPECT_NEAR(json["milliseconds"].get<double>() / json["after"]["milliseconds"].get<double>(), 1,
              0.02);
  const std::string espdl = out + "/gesture_small_int8/gesture_small_int8.espdl";
  EXPECT_EQ(run_program({"verify", espdl, "--tolerance", "exact"}).exit_code, 0);
  EXPECT_EQ(run_program({"inspect", out + "/gesture_small.onnx"}).exit_code, 0);
  // The network in the ONNX file is the one that was quantized.
  EXPECT_EQ(run_program({"evaluate", espdl, "--data", example + "test.npz", "--count", "4",
                         "--reference", out + "/gesture_small.onnx"})
                .exit_code,
            0);
}

TEST_F(ShrinkCommand, PrunesWeightsForASmallerCompressedFile) {
  const Outcome made = shrink({"--calib-count", "32", "--prune", "60%", "--steps", "4", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto json = nlohmann::json::parse(made.out);
  EXPECT_NEAR(json["pruned"]["zeros"].get<double>() / json["pruned"]["weights"].get<double>(), 0.6,
              0.01);
  EXPECT_LT(json["pruned"]["compressed_after"], json["pruned"]["compressed_before"]);
  EXPECT_EQ(json["before"]["milliseconds"], json["after"]["milliseconds"]);
  EXPECT_FALSE(fs::exists(out + "/gesture_small.state.json"));
}

TEST_F(ShrinkCommand, SaysWhereTheBudgetCannotBeMet) {
  const Outcome made = shrink({"--calib-count", "16", "--ram-kb", "1", "--steps", "0", "--quiet"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(made.err.find("cannot be met"), std::string::npos) << made.err;
  EXPECT_TRUE(fs::exists(out + "/gesture_small.onnx"));
}

TEST_F(ShrinkCommand, RefusesWithoutAFile) {
  expect_one_error(shrink({}), 2, "--latency -40%");
  expect_one_error(shrink({"--latency", "40%"}), 2, "by how much less");
  expect_one_error(shrink({"--latency", "-100%"}), 2, "by how much less");
  expect_one_error(shrink({"--latency", "-40%", "--calib-count", "15"}), 1, "at least 16");
  expect_one_error(shrink({"--prune", "60"}), 2, "--prune 60%");
  expect_one_error(shrink({"--latency", "-40%", "--resume", out}), 1, "nothing to go on from");
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace espquant::test
