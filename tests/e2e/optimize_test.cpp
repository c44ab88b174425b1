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
  const Outcome refused = quantize("ram=8K");
  expect_one_error(refused, 1, "is the least that was found");
  const auto at = refused.err.find("Ask for ram=");
  ASSERT_NE(at, std::string::npos) << refused.err;
  const std::string nearest = refused.err.substr(at + 8, refused.err.find(',', at) - at - 8);
  EXPECT_EQ(quantize(nearest).exit_code, 0) << nearest;
  expect_one_error(quantize("ram"), 2, "ram=200K,latency");
}

TEST_F(OptimizeCommand, InspectShowsBeforeAndAfter) {
  const std::string example = (source_dir() / "examples/gesture/").string();
  ASSERT_EQ(run_program({"quantize", example + "gesture.onnx", "--calib", example + "calib.npz",
                         "--calib-count", "16", "--out", folder.path("whole")})
                .exit_code,
            0);
  const std::string whole = folder.path("whole/gesture_int8/gesture_int8.espdl");
  const auto made = run_program({"optimize", whole, "--fit", "ram=160K", "--json", "--out", out});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto json = nlohmann::json::parse(made.out);
  const auto shown = nlohmann::json::parse(
      run_program({"inspect", out, "--cost", "--before", whole, "--json"}).out);
  EXPECT_EQ(shown["before"], json["before"]);
  EXPECT_EQ(shown["after"], json["after"]);
  // What lies in the chip's own RAM now is read sooner.
  EXPECT_LT(json["recommended"]["milliseconds"], json["after"]["milliseconds"]);
  EXPECT_EQ(shown["recommended"], json["recommended"]);
  const std::string size = std::to_string(json["recommended"]["max_internal_size"].get<int>());
  const auto internal =
      nlohmann::json::parse(run_program({"inspect", out, "--json", "--internal-ram", size}).out);
  EXPECT_EQ(internal["latency"]["milliseconds"], json["recommended"]["milliseconds"]);
  // Without the other file, as optimize wrote it down.
  const std::string text = run_program({"inspect", out, "--cost"}).out;
  EXPECT_NE(text.find("\nrearranged   "), std::string::npos) << text;
  EXPECT_NE(text.find(" ms, 322560 bytes of activations, "), std::string::npos) << text;
  expect_one_error(run_program({"inspect", out, "--before", whole}), 2, "--cost");
  expect_one_error(run_program({"inspect", out, "--cost", "--before", folder.path("none.espdl")}),
                   1, "none.espdl");
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
