#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/onnx_bytes.h"
#include "tests/e2e/program.h"
#include "tests/support/network.h"

namespace espquant::test {
namespace {

/// One convolution whose first filter is eight times as large as its second.
class AnalyzeNetwork : public testing::Test {
 protected:
  void SetUp() override {
    write_text(folder_.path("m.onnx"), onnx_model("Conv", {1, 0.7F, 0.125F, -0.08F}));
    write_arrays(folder_.path("d.npz"), {{"x", random_tensor({40, 2, 4, 4}, 1)}});
  }
  Outcome analyze(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"analyze", folder_.path("m.onnx"), "--calib",
                                       folder_.path("d.npz")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  TemporaryFolder folder_;
};

TEST_F(AnalyzeNetwork, TheTableFitsTheTerminalAndTheWorstLayersAreExplained) {
  const auto outcome = analyze();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("int8 for esp32s3, calibrated on 40 samples"), std::string::npos);
  EXPECT_NE(outcome.out.find("\n1. the_node (Conv). "), std::string::npos) << outcome.out;
  EXPECT_LT(outcome.out.find("the_node"), outcome.out.find("Input")) << outcome.out;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(AnalyzeNetwork, JsonAndCsvCarryEveryColumn) {
  const auto outcome = analyze({"--json", "--csv", folder_.path("layers.csv"), "--sort", "network",
                                "--recipe", "int16", "--count", "7"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::ordered_json::parse(outcome.out);
  EXPECT_EQ(json["samples"], 7);
  EXPECT_EQ(json["recipe"]["name"], "int16");
  ASSERT_EQ(json["layers"].size(), 2u);
  EXPECT_EQ(json["layers"][0]["type"], "Input");
  const auto& conv = json["layers"][1];
  EXPECT_EQ(conv["layer"], "the_node");
  EXPECT_EQ(conv["bits"], 16);
  EXPECT_GT(conv["weight_channel_spread"], 7);
  std::ifstream csv(folder_.path("layers.csv"));
  std::string header, input, row;
  std::getline(csv, header);
  std::getline(csv, input);
  std::getline(csv, row);
  std::string expected;
  for (const auto& [column, value] : conv.items())
    expected += (expected.empty() ? "" : ",") + column;
  EXPECT_EQ(header, expected);
  EXPECT_EQ(row.rfind("\"the_node\",\"Conv\",\"y\",16,", 0), 0u) << row;
}

TEST_F(AnalyzeNetwork, NoiseIsThatOfTheDataThatAreGiven) {
  write_arrays(folder_.path("other.npz"), {{"x", random_tensor({3, 2, 4, 4}, 2, -40, 40)}});
  const auto outcome = analyze({"--data", folder_.path("other.npz"), "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["samples"], 3);
  // Calibrated on inputs from -1 to 1.
  EXPECT_GT(json["noise_to_signal"], 0.5);
  EXPECT_EQ(json["layers"][0]["reason"], "clipped");
}

TEST_F(AnalyzeNetwork, IsRefusedWithoutCalibrationData) {
  const auto outcome = run_program({"analyze", folder_.path("m.onnx")});
  expect_one_error(outcome, 2, "--calib");
}

TEST_F(AnalyzeNetwork, AnOrderThatDoesNotExistIsRefused) {
  const auto outcome = analyze({"--sort", "colour"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("colour"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace espquant::test
