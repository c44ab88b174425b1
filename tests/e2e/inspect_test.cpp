#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/onnx_bytes.h"
#include "tests/e2e/program.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

std::size_t inspect_longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

TEST(Inspect, EspdlAsText) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const auto outcome = run_program({"inspect", folder.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"EDL2", "esp32s3", "the_relu", "1x2x2x3", "-4 => -4", "test values"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in\n" << outcome.out;
}

TEST(Inspect, EspdlAsJson) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const auto outcome = run_program({"inspect", folder.path("m.espdl"), "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["inputs"][0]["name"], "x");
  EXPECT_EQ(json["inputs"][0]["exponents"][0], -4);
  EXPECT_EQ(json["nodes"][0]["type"], "Relu");
  EXPECT_EQ(json["bytes"]["total"], std::filesystem::file_size(folder.path("m.espdl")));
}

TEST(Inspect, InfoHoldsTheElements) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const auto outcome = run_program({"inspect", folder.path("m.espdl"), "--info"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("-128"), std::string::npos);
}

TEST(Inspect, OnnxCountsParametersAndMacs) {
  ESPQUANT_NEEDS_SHARED("models/ic_resnet8_cifar10.onnx");
  const auto file = (shared_dir() / "models/ic_resnet8_cifar10.onnx").string();
  const auto text = run_program({"inspect", file});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  const auto whole = nlohmann::json::parse(run_program({"inspect", file, "--json"}).out);
  const auto simple =
      nlohmann::json::parse(run_program({"inspect", file, "--json", "--simplified"}).out);
  // Layer by layer: 3x3x3x16 over 32x32, and so on to the last Gemm.
  EXPECT_EQ(simple["macs"], 12501632);
  EXPECT_LE(simple["nodes"].size(), whole["nodes"].size());
  EXPECT_GT(whole["parameters"], 70000);
}

TEST(Inspect, ANetworkIsOneWhateverItsName) {
  const TemporaryFolder folder;
  for (const char* name : {"NET.ONNX", "net"}) {
    write_text(folder.path(name), onnx_model("Conv", {1, 2, 3, 4}));
    const auto outcome = run_program({"inspect", folder.path(name)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("Conv"), std::string::npos);
  }
}

TEST(Inspect, ShippedModelFitsTheTerminalAndIsWholeInAPipe) {
  ESPQUANT_NEEDS_SHARED("golden/zoo/espdet_pico_224_224_cat_s3.espdl");
  const auto file = (shared_dir() / "golden/zoo/espdet_pico_224_224_cat_s3.espdl").string();
  for (const int columns : {100, 120}) {
    const auto shown = run_in_terminal({"inspect", file}, columns);
    EXPECT_EQ(shown.exit_code, 0) << shown.out;
    EXPECT_LE(inspect_longest_line(shown.out), static_cast<std::size_t>(columns));
    EXPECT_GT(inspect_longest_line(shown.out), 90U);
  }
  const auto outcome = run_program({"inspect", file});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(run_program({"inspect", file, "--json"}).out);
  for (const auto& node : json["nodes"])
    EXPECT_NE(outcome.out.find('\n' + node["name"].get<std::string>() + ' '), std::string::npos);
}

}  // namespace
}  // namespace espquant::test
