#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "espdl/reader.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

class OptimizeCommand : public testing::Test {
 protected:
  TemporaryFolder folder;
  const std::string model = folder.path("model.espdl"), out = folder.path("out/faster.espdl");
};

TEST_F(OptimizeCommand, WritesAModelWithItsTestValues) {
  write_relu_model(model);
  const auto outcome = run_program({"optimize", model, "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("every integer as before"), std::string::npos) << outcome.out;
  EXPECT_EQ(espdl::read_model_file(out).test_outputs, espdl::read_model_file(model).test_outputs);
  EXPECT_EQ(run_program({"verify", out}).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder.path("out/faster.compile_req.yml")));
}

TEST_F(OptimizeCommand, KeepsTestValuesThatWereWrongBefore) {
  write_relu_model(model, true);
  const auto outcome = run_program({"optimize", model, "--no-compile-req", "--json", "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["before"], json["after"]);
  EXPECT_FALSE(fs::exists(folder.path("out/faster.compile_req.yml")));
}

TEST_F(OptimizeCommand, QuantizeFitsTheFileAsWell) {
  const std::string example = (source_dir() / "examples/gesture/").string();
  const auto quantize = [&](const std::string& goal) {
    return run_program({"quantize", example + "gesture.onnx", "--calib", example + "calib.npz",
                        "--calib-count", "16", "--fit", goal, "--out", folder.path("out")});
  };
  ASSERT_EQ(quantize("ram=160K").exit_code, 0);
  const std::string made = folder.path("out/gesture_int8/gesture_int8.espdl");
  EXPECT_EQ(run_program({"verify", made, "--tolerance", "exact"}).exit_code, 0);
  const auto json = nlohmann::json::parse(run_program({"inspect", made, "--json"}).out);
  EXPECT_LE(json["memory"]["psram"], 160 * 1024);
  EXPECT_TRUE(json["metadata"].contains("espquant.schedule"));
  expect_one_error(quantize("ram=8K"), 1, "is the least that was found");
  expect_one_error(quantize("ram"), 2, "ram=200K,latency");
}

TEST_F(OptimizeCommand, RefusesWithoutAFile) {
  write_relu_model(model);
  expect_one_error(run_program({"optimize", model, "--fit", "small", "--out", out}), 2,
                   "ram=200K,latency");
  expect_one_error(run_program({"optimize", model, "--disable", "order_of", "--out", out}), 2,
                   "rewrite");
  expect_one_error(run_program({"optimize", model, "--key", std::string(32, '0'), "--out", out}), 2,
                   "ecrypt");
  expect_one_error(run_program({"optimize", folder.path("none.espdl"), "--out", out}), 1,
                   "none.espdl");
  EXPECT_FALSE(fs::exists(folder.path("out")));
}

}  // namespace
}  // namespace espquant::test
