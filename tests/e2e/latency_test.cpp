#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

class LatencyCommand : public testing::Test {
 protected:
  void SetUp() override { write_relu_model(model); }

  static std::string text_of(const std::string& path) {
    const auto bytes = read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static nlohmann::json json_of(std::vector<std::string> words) {
    words.insert(words.begin(), "latency");
    words.push_back("--json");
    const auto outcome = run_program(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }

  TemporaryFolder folder;
  const std::string model = folder.path("relu.espdl"), log = folder.path("profile.txt"),
                    board = folder.path("board.toml");
};

TEST_F(LatencyCommand, SaysWhatARunTakesUnderARelease) {
  const auto now = json_of({model});
  EXPECT_GT(now["milliseconds"], 0);
  EXPECT_EQ(now["clock_mhz"], 240);
  ASSERT_EQ(now["nodes"].size(), 1);
  EXPECT_EQ(json_of({model, "--espdl", "3.3.9"})["espdl"], "3.3.9");
  EXPECT_EQ(json_of({model, "--cores", "2"})["cores"], 2);
  const auto outcome = run_program({"latency", model});
  EXPECT_NE(outcome.out.find("on one core at 240 MHz"), std::string::npos) << outcome.out;
  EXPECT_EQ(run_program({"latency", model, "--cores", "3"}).exit_code, 2);
}

TEST_F(LatencyCommand, FitsABoardToAProfile) {
  const std::string node = json_of({model})["nodes"][0]["name"];
  write_text(log, fmt::format("name type latency(us)\n{} Relu 12.5\ntotal 12.5\n", node));
  const auto outcome = run_program({"latency", model, "--fit", log, "--out", board});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("measured"), std::string::npos) << outcome.out;
  EXPECT_NEAR(json_of({model, "--board", board})["milliseconds"], 0.0125, 1e-6);
  const auto inspected = run_program({"inspect", model, "--cost", "--board", board});
  EXPECT_NE(inspected.out.find("a profile of this board"), std::string::npos) << inspected.err;
  expect_one_error(run_program({"latency", model, "--board", board, "--target", "esp32p4"}), 2,
                   "esp32s3");
}

TEST_F(LatencyCommand, QuantizeAndCompareTakeABoardOfTheirChip) {
  write_text(board, "target = 'esp32s3'\nespdl = '3.3.15'\n");
  const std::string example = source_dir().string() + "/examples/gesture/";
  for (const char* command : {"quantize", "compare"}) {
    const auto outcome =
        run_program({command, example + "gesture.onnx", "--calib", example + "calib.npz",
                     "--target", "esp32p4", "--board", board, "--out", folder.path("out")});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find("the board is one with esp32s3"), std::string::npos) << outcome.err;
  }
}

TEST_F(LatencyCommand, RefusesWhatDoesNotBelongTogether) {
  write_text(log, "name type latency(us)\nother Relu 12.5\n");
  expect_one_error(run_program({"latency", model, "--fit", log}), 1, "'other'");
  write_text(log, "nothing\n");
  expect_one_error(run_program({"latency", model, "--fit", log}), 1, "model->profile()");
  expect_one_error(run_program({"latency", model, "--out", board}), 2, "--fit");
  write_text(board, "target = 'esp32s3'\nespdl = '3.3.15'\nspeed = 3\n");
  expect_one_error(run_program({"latency", model, "--board", board}), 1, "'speed'");
  expect_one_error(run_program({"latency", model, "--board", folder.path("none.toml")}), 1,
                   "none.toml");
}

}  // namespace
}  // namespace espquant::test
