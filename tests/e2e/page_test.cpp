#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/e2e/program.h"
#include "tests/support/content_of.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

TEST(Page, IsTheSameEveryTimeAndSaysWhatItWroteInItsData) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const std::vector<std::string> command = {
      "inspect",       folder.path("m.espdl"), "--report",    folder.path("p.html"),
      "--report-json", folder.path("p.json"),  "--node-data", folder.path("n.json")};
  ASSERT_EQ(run_program(command).exit_code, 0);
  const std::string html = content_of(folder.path("p.html"));
  ASSERT_EQ(run_program(command).exit_code, 0);
  EXPECT_EQ(content_of(folder.path("p.html")), html);
  const auto data = nlohmann::json::parse(content_of(folder.path("p.json")));
  EXPECT_EQ(data["kind"], "inspect");
  EXPECT_EQ(data["models"][0]["nodes"][0]["name"], "the_relu");
  EXPECT_TRUE(data["models"][0]["memory"].contains("tensors"));
  const auto values = nlohmann::json::parse(content_of(folder.path("n.json")));
  EXPECT_TRUE(values["results"].contains("the_relu"));
}

TEST(Page, KeepsAKeySecret) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const std::string key = "00112233445566778899aabbccddeeff";
  ASSERT_EQ(run_program(
                {"encrypt", folder.path("m.espdl"), "--key", key, "--out", folder.path("e.espdl")})
                .exit_code,
            0);
  for (const std::vector<std::string>& with :
       {std::vector<std::string>{"--key", key}, std::vector<std::string>{"--key=" + key}}) {
    std::vector<std::string> command = {"inspect", folder.path("e.espdl"), "--report",
                                        folder.path("p.html")};
    command.insert(command.end(), with.begin(), with.end());
    ASSERT_EQ(run_program(command).exit_code, 0);
    EXPECT_EQ(content_of(folder.path("p.html")).find(key), std::string::npos);
  }
}

TEST(Page, OfQuantizationSaysWhatEachLayerLosesAndIsTheSameForAnyThreads) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  const auto json_of = [&](const std::string& threads) {
    const Outcome made =
        run_program({"quantize", example + "gesture.onnx", "--calib", example + "calib.npz",
                     "--calib-count", "16", "--out", folder.path("out"), "--report-json",
                     folder.path("p.json"), "--threads", threads});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    auto json = nlohmann::json::parse(content_of(folder.path("p.json")));
    json.erase("command");
    return json;
  };
  const auto page = json_of("1");
  EXPECT_EQ(json_of("3"), page);
  const auto& model = page["models"][0];
  EXPECT_EQ(model["recipe"], "int8");
  EXPECT_GE(model["layers"].size(), model["nodes"].size());
  for (const auto& layer : model["layers"]) {
    const auto& histogram = layer["histogram"];
    std::int64_t network = 0, chip = 0;
    for (const auto& n : histogram["float"]) network += n.get<std::int64_t>();
    for (const auto& n : histogram["chip"]) chip += n.get<std::int64_t>();
    EXPECT_GT(network, 0) << layer["layer"];
    EXPECT_EQ(network, chip) << layer["layer"];
    // Weighted by signal, the noise of channels is that of the layer: it lies between them.
    if (layer["channel_noise"].empty()) continue;
    const auto noise = layer["channel_noise"].get<std::vector<double>>();
    EXPECT_LE(layer["accumulated"], 1.001 * *std::max_element(noise.begin(), noise.end()));
  }
}

TEST(Page, OfAComparisonHasEachRecipe) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  const Outcome made =
      run_program({"compare", example + "gesture.onnx", "--calib", example + "calib.npz",
                   "--calib-count", "16", "--recipe", "int8,int16", "--out", folder.path("out"),
                   "--report-json", folder.path("p.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto page = nlohmann::json::parse(content_of(folder.path("p.json")));
  ASSERT_EQ(page["models"].size(), 2U);
  EXPECT_GT(page["models"][1]["wide_nodes"], page["models"][0]["wide_nodes"]);
  EXPECT_LT(page["models"][1]["noise"], page["models"][0]["noise"]);
}

TEST(Page, OfAnOnnxNeedsQuantization) {
  const TemporaryFolder folder;
  write_text(folder.path("m.onnx"), "x");
  expect_one_error(
      run_program({"inspect", folder.path("m.onnx"), "--report", folder.path("p.html")}), 2,
      "--report");
  EXPECT_FALSE(std::filesystem::exists(folder.path("p.html")));
}

}  // namespace
}  // namespace espquant::test
