#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/e2e/program.h"
#include "tests/support/content_of.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

/// Keys of all objects, but of those whose keys are names or kinds.
void add_keys(const nlohmann::json& json, std::set<std::string>& keys) {
  for (const auto& [key, value] : json.items()) {
    if (json.is_object()) keys.insert(key);
    const bool names = json.is_object() && value.is_object() &&
                       (key == "metadata" || key == "attributes" || key == "bytes");
    if (!names && value.is_structured()) add_keys(value, keys);
  }
}

/// Fails for a key that no page of the documentation names.
void expect_documented_keys(const nlohmann::json& page) {
  std::string text;
  for (const char* name : {"report-data.md", "json.md", "analyze.md"})
    text += content_of(source_dir() / "docs" / name);
  std::set<std::string> keys;
  add_keys(page, keys);
  EXPECT_GT(keys.size(), 20U);
  for (const std::string& key : keys)
    EXPECT_TRUE(std::regex_search(text, std::regex("`[^`]*\\b" + key + "\\b[^`]*`"))) << key;
}

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
    const Outcome made = run_program(
        {"quantize", example + "gesture.onnx", "--calib", example + "calib.npz", "--calib-count",
         "16", "--data", example + "test.npz", "--count", "40", "--out", folder.path("out"),
         "--report-json", folder.path("p.json"), "--threads", threads});
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

TEST(Page, OfTestDataSaysWhereAnswersDiffer) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  ASSERT_EQ(run_program({"quantize", example + "gesture.onnx", "--calib", example + "calib.npz",
                         "--calib-count", "16", "--data", example + "test.npz", "--count", "200",
                         "--out", folder.path("out"), "--report-json", folder.path("q.json")})
                .exit_code,
            0);
  ASSERT_EQ(run_program({"evaluate", folder.path("out/gesture_int8/gesture_int8.espdl"), "--data",
                         example + "test.npz", "--count", "200", "--reference",
                         example + "gesture.onnx", "--report-json", folder.path("e.json")})
                .exit_code,
            0);
  const auto quantized = nlohmann::json::parse(content_of(folder.path("q.json")));
  const auto evaluated = nlohmann::json::parse(content_of(folder.path("e.json")));
  const auto& answers = quantized["models"][0]["answers"];
  EXPECT_EQ(answers["on"], "test");
  for (const char* who : {"float", "chip", "change"}) {
    std::int64_t samples = 0, right = 0;
    for (const auto& pair : answers["confusion"][who]) {
      samples += pair[2].get<std::int64_t>();
      if (pair[0] == pair[1]) right += pair[2].get<std::int64_t>();
    }
    EXPECT_EQ(samples, 200) << who;
    const char* share = std::string_view(who) == "float"  ? "float_accuracy"
                        : std::string_view(who) == "chip" ? "accuracy"
                                                          : "agreement";
    EXPECT_NEAR(quantized["models"][0][share].get<double>(), static_cast<double>(right) / 200,
                1e-12);
  }
  EXPECT_EQ(answers, evaluated["models"][0]["answers"]) << "the file gives what quantizing gave";
  EXPECT_EQ(quantized["samples"], evaluated["samples"]);
  expect_documented_keys(quantized);
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
  const auto largest = [](const nlohmann::json& model) {
    double most = 0;
    for (const auto& layer : model["layers"])
      most = std::max(most, layer["at_output"].get<double>());
    return most;
  };
  EXPECT_LT(largest(page["models"][1]), 0.1 * largest(page["models"][0]));
  EXPECT_EQ(page["models"][0]["answers"]["on"], "calibration");
  expect_documented_keys(page);
}

TEST(Page, OfASearchIsTheSameEveryTime) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  const auto page_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {"tune",          example + "gesture.onnx",
                                        "--calib",       example + "calib.npz",
                                        "--calib-count", "48",
                                        "--data",        example + "test.npz",
                                        "--count",       "64",
                                        "--trials",      "2",
                                        "--out",         folder.path("out"),
                                        "--report-json", folder.path("{name}.json")};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome made = run_program(command);
    EXPECT_EQ(made.exit_code, 0) << made.err;
    auto json = nlohmann::json::parse(content_of(folder.path("gesture.json")));
    json.erase("command");
    return json;
  };
  const auto page = page_of({});
  EXPECT_EQ(page_of({"--resume", "--threads", "1"}), page);
  EXPECT_EQ(page["search"]["history"].size(), 2U);
  EXPECT_EQ(page["models"].size(), page["search"]["front"].size());
  EXPECT_EQ(page["models"][0]["recipe"], page["search"]["recommended"]);
  EXPECT_EQ(page["models"][0]["answers"]["samples"], 64);
  expect_documented_keys(page);
}

TEST(Page, OfSeveralSearchesNeedsAFileForEach) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  expect_one_error(run_program({"tune", example + "gesture.onnx", example + "gesture.onnx",
                                "--calib", example + "calib.npz", "--trials", "1", "--out",
                                folder.path("out"), "--report", folder.path("p.html")}),
                   2, "{name}");
  EXPECT_FALSE(std::filesystem::exists(folder.path("out")));
}

TEST(Page, OfASmallerNetworkSaysWhatWent) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  const Outcome made =
      run_program({"shrink", example + "gesture.onnx", "--calib", example + "calib.npz",
                   "--calib-count", "48", "--latency", "-20%", "--steps", "0", "--no-blocks",
                   "--out", folder.path("out"), "--report-json", folder.path("p.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto page = nlohmann::json::parse(content_of(folder.path("p.json")));
  EXPECT_LT(page["shrink"]["after"]["milliseconds"],
            0.81 * page["shrink"]["before"]["milliseconds"].get<double>());
  EXPECT_FALSE(page["shrink"].contains("seconds"));
  EXPECT_GT(page["models"][0]["layers"].size(), 0U);
  expect_documented_keys(page);
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
