#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/npz.h"
#include "tests/e2e/program.h"
#include "tests/support/shared.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

const std::string kQuantizeExample = source_dir().string() + "/examples/gesture/";

Outcome quantize(const std::string& out, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"quantize",      kQuantizeExample + "gesture.onnx",
                                     "--calib",       kQuantizeExample + "calib.npz",
                                     "--calib-count", "32",
                                     "--out",         out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments);
}

std::string model_in(const std::string& out) { return out + "/gesture_int8/gesture_int8.espdl"; }

// One line on stderr, exit code 1, and nothing written.
void expect_refused(const Outcome& outcome, const std::string& out, std::string_view word) {
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(out));
}

class QuantizeFor : public testing::TestWithParam<const char*> {};

TEST_P(QuantizeFor, WritesThreeFilesThatVerifyExactly) {
  const TemporaryFolder folder;
  const auto outcome = quantize(folder.path("out"), {"--target", GetParam(), "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["target"], GetParam());
  EXPECT_EQ(json["strategy"], "int8");
  EXPECT_LT(json["noise_to_signal"], 0.05);
  EXPECT_FALSE(json["stages"].empty());
  EXPECT_FALSE(json["layers"].empty());
  for (const auto& file : json["files"])
    EXPECT_TRUE(std::filesystem::exists(file.get<std::string>())) << file;
  const auto verified =
      run_program({"verify", model_in(folder.path("out")), "--tolerance", "exact"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  const std::string other = GetParam() == std::string("esp32") ? "esp32s3" : "esp32";
  const auto refused = run_program({"verify", model_in(folder.path("out")), "--target", other});
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE(refused.err.find("packed"), std::string::npos) << refused.err;
}

TEST(Quantize, LeavesAnInputOutThatNobodyReads) {
  ESPQUANT_NEEDS_SHARED("cases/input_nobody_reads.onnx");
  const TemporaryFolder folder;
  const std::string stem = (shared_dir() / "cases/input_nobody_reads").string();
  const auto outcome = run_program(
      {"quantize", stem + ".onnx", "--calib", stem + ".npz", "--out", folder.path("out")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("note: no node reads the input"), std::string::npos) << outcome.err;
}

TEST(Quantize, WritesTheReleaseIntoTheFile) {
  const TemporaryFolder folder;
  const auto outcome = quantize(folder.path("out"), {"--espdl", "3.3.9", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["espdl"], "3.3.9");
  const std::string file = model_in(folder.path("out"));
  const auto espdl_of = [&](std::vector<std::string> command) {
    return nlohmann::json::parse(run_program(command).out)["espdl"];
  };
  EXPECT_EQ(espdl_of({"verify", file, "--json"}), "3.3.9");
  EXPECT_EQ(espdl_of({"verify", file, "--json", "--espdl", "3.3.15"}), "3.3.15");
  expect_one_error(run_program({"check", file, "--espdl", "3.3.99"}), 2, "3.3.15");
  const auto checked = nlohmann::json::parse(run_program({"check", file, "--json"}).out);
  EXPECT_EQ(checked["models"][0]["espdl"], "3.3.9");
  EXPECT_EQ(checked["models"][0]["needs_espdl"], "3.3.9");
}

TEST(Quantize, WeightsOf8BitsBelowActivationsOf16NeedTheirRelease) {
  const TemporaryFolder folder;
  const auto out = folder.path("out");
  expect_refused(quantize(out, {"--recipe", "w8a16", "--espdl", "3.3.10"}), out, "W8A16");
}

TEST_P(QuantizeFor, WeightsOf8BitsBelowActivationsOf16VerifyExactly) {
  const TemporaryFolder folder;
  const auto made = [&](const char* recipe) {
    const auto outcome =
        quantize(folder.path(recipe), {"--target", GetParam(), "--recipe", recipe, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto narrow = made("w8a16"), wide = made("int16");
  EXPECT_LT(narrow["size"]["filters"], 0.75 * wide["size"]["filters"].get<double>());
  EXPECT_LT(narrow["noise_to_signal"], 1e-3);
  const std::string file = folder.path("w8a16") + "/gesture_w8a16/gesture_w8a16.espdl";
  for (const auto& arguments : {std::vector<std::string>{"verify", file, "--tolerance", "exact"},
                                std::vector<std::string>{"check", file, "--target", GetParam()}}) {
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, QuantizeFor, testing::Values("esp32s3", "esp32p4", "esp32"));

TEST(Quantize, EqualBytesForAnyNumberOfThreads) {
  const TemporaryFolder folder;
  ASSERT_EQ(quantize(folder.path("one"), {"--threads", "1"}).exit_code, 0);
  ASSERT_EQ(quantize(folder.path("three"), {"--threads", "3"}).exit_code, 0);
  EXPECT_EQ(read_file(model_in(folder.path("one"))), read_file(model_in(folder.path("three"))));
}

TEST(Quantize, EvaluateGivesTheMetricsOfTheTestSet) {
  const TemporaryFolder folder;
  ASSERT_EQ(quantize(folder.path("out")).exit_code, 0);
  const auto outcome = run_program({"evaluate", model_in(folder.path("out")), "--data",
                                    kQuantizeExample + "test.npz", "--count", "200", "--reference",
                                    kQuantizeExample + "gesture.onnx", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["samples"], 200);
  EXPECT_GT(json["agreement"], 0.95);
  EXPECT_GT(json["reference_accuracy"], 0.88);
  EXPECT_NEAR(json["accuracy"], json["reference_accuracy"], 0.03);
}

TEST(Quantize, SaysWhatTheChipNeedsAndWhatToTypeNext) {
  const TemporaryFolder folder;
  const auto outcome =
      quantize(folder.path("out"), {"--data", kQuantizeExample + "test.npz", "--count", "100"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part :
       {"Pictures: gray, stretched to 96x96 (opencv), pixel / 255\n",
        "On the chip: ", " ms on one core", "On 100 test samples", "\nNext: espquant latency "})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << outcome.out;
}

TEST(Quantize, SettingsOfPicturesAreWrittenAndOverridden) {
  const TemporaryFolder folder;
  ASSERT_EQ(quantize(folder.path("out"), {"--preprocess", "std=0.5"}).exit_code, 0);
  const std::string data = kQuantizeExample + "test.npz", model = model_in(folder.path("out")),
                    stem = folder.path("out/gesture_int8/gesture_int8");
  const auto settings = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"evaluate", model, "--data", data, "--count", "4", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out)["preprocess"]["std"].get<std::string>();
  };
  EXPECT_EQ(settings({}), "0.5");
  EXPECT_EQ(settings({"--preprocess", "std=0.25"}), "0.25");
  EXPECT_EQ(settings({"--preprocess-file", stem + ".preprocess.toml"}), "0.5");
  const auto ran = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"run", model, "-i", data, "-o", folder.path("y.npz")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run_program(arguments).exit_code, 0);
    return read_file(folder.path("y.npz"));
  };
  EXPECT_EQ(ran({}), ran({"--preprocess-file", stem + ".preprocess.toml"}));
  EXPECT_NE(ran({}), ran({"--preprocess", "std=1"}));
}

TEST(Quantize, NamesOfClassesGoIntoTheFile) {
  const TemporaryFolder folder;
  write_text(folder.path("classes.txt"), "c\ndown\nfist\nfist_moved\nindex\nl\nok\npalm\n");
  ASSERT_EQ(quantize(folder.path("out"), {"--classes", folder.path("classes.txt")}).exit_code, 0);
  const auto outcome = run_program({"run", model_in(folder.path("out")), "-i",
                                    kQuantizeExample + "test.npz", "-o", folder.path("y.npz")});
  EXPECT_NE(outcome.out.find("fist_moved"), std::string::npos) << outcome.out;
  write_text(folder.path("few.txt"), "c\ndown\n");
  expect_refused(quantize(folder.path("o"), {"--classes", folder.path("few.txt")}),
                 folder.path("o"), "2 names of classes, the network tells 8 apart");
}

TEST(Quantize, LabelsThatTheNetworkCannotMeanAreLeftOut) {
  const TemporaryFolder folder;
  ASSERT_EQ(quantize(folder.path("out")).exit_code, 0);
  auto arrays = data::read_npz(kQuantizeExample + "test.npz");
  for (auto& label : arrays.at("labels").mutable_data<std::int64_t>()) ++label;
  write_arrays(folder.path("from1.npz"), arrays);
  const auto outcome = run_program(
      {"evaluate", model_in(folder.path("out")), "--data", folder.path("from1.npz"), "--json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_FALSE(nlohmann::json::parse(outcome.out).contains("accuracy"));
  EXPECT_NE(outcome.err.find("from 1 to 8, the network tells 8 classes apart"), std::string::npos)
      << outcome.err;
}

TEST(Quantize, DataThatMisleadAreQuestioned) {
  const TemporaryFolder folder;
  write_arrays(folder.path("zero.npz"), {{"input", Tensor(DType::Float32, {8, 1, 96, 96})}});
  const auto constant =
      run_program({"quantize", kQuantizeExample + "gesture.onnx", "--calib",
                   folder.path("zero.npz"), "--preprocess", "mean=0.5", "--out", folder.path("o")});
  EXPECT_EQ(constant.exit_code, 0);
  for (const char* part : {"every sample is constant", "8 samples to calibrate on are few",
                           "--preprocess changes nothing"})
    EXPECT_NE(constant.err.find(part), std::string::npos) << part << constant.err;
  const auto units = quantize(folder.path("out"), {"--preprocess", "mean=123", "std=58"});
  EXPECT_NE(units.err.find("mean = 123 lies beyond 1"), std::string::npos) << units.err;
  EXPECT_EQ(quantize(folder.path("out")).err.find("note: /"), std::string::npos);
}

TEST(Quantize, InputsBeyondTheCalibratedRangeAreQuestioned) {
  const TemporaryFolder folder;
  ASSERT_EQ(quantize(folder.path("out")).exit_code, 0);
  Tensor pixels(DType::Float32, {4, 1, 96, 96});
  for (std::size_t i = 0; i < pixels.data<float>().size(); ++i)
    pixels.mutable_data<float>()[i] = static_cast<float>(i * 37 % 256);
  write_arrays(folder.path("pixels.npz"), {{"input", pixels}});
  const auto outcome =
      run_program({"evaluate", model_in(folder.path("out")), "--data", folder.path("pixels.npz")});
  EXPECT_NE(outcome.err.find("lie beyond -2"), std::string::npos) << outcome.err;
}

TEST(Quantize, APatternThatMatchesNothingIsTheRecipesFault) {
  const TemporaryFolder folder;
  write_text(folder.path("mine.toml"), "[[layer]]\nmatch = \"/head/*\"\nbits = 16\n");
  const auto outcome = quantize(folder.path("out"), {"--recipe", folder.path("mine.toml")});
  EXPECT_TRUE(
      outcome.err.starts_with("espquant: error: " + folder.path("mine.toml") + ": layer[0]"))
      << outcome.err;
  EXPECT_EQ(outcome.err.find("'*'"), std::string::npos) << outcome.err;
}

TEST(Quantize, PerChannelWeightsAreRefusedWhereTheChipHasOneShift) {
  const TemporaryFolder folder;
  const auto out = folder.path("out");
  expect_refused(quantize(out, {"--target", "esp32s3", "--weights", "channel"}), out,
                 "per channel");
}

TEST(Quantize, DataThatAreNotFiniteAreRefused) {
  const TemporaryFolder folder;
  Tensor x(DType::Float32, {2, 1, 96, 96});
  x.mutable_data<float>()[100] = std::numeric_limits<float>::quiet_NaN();
  write_arrays(folder.path("nan.npz"), {{"input", x}});
  const auto out = folder.path("out");
  expect_refused(run_program({"quantize", kQuantizeExample + "gesture.onnx", "--calib",
                              folder.path("nan.npz"), "--out", out}),
                 out, "sample 0");
}

TEST(Quantize, DataOfTheWrongSizeAreRefused) {
  const TemporaryFolder folder;
  write_arrays(folder.path("small.npz"), {{"input", Tensor(DType::Float32, {4, 1, 10, 12})}});
  const auto out = folder.path("out");
  expect_refused(run_program({"quantize", kQuantizeExample + "gesture.onnx", "--calib",
                              folder.path("small.npz"), "--out", out}),
                 out, "10");
}

TEST(Quantize, ATruncatedModelIsRefused) {
  const TemporaryFolder folder;
  auto bytes = read_file(kQuantizeExample + "gesture.onnx");
  bytes.resize(bytes.size() / 2);
  write_text(folder.path("cut.onnx"), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const auto out = folder.path("out");
  expect_refused(run_program({"quantize", folder.path("cut.onnx"), "--calib",
                              kQuantizeExample + "calib.npz", "--out", out}),
                 out, "cut.onnx");
}

// The figure that the incumbent's best method reaches on this network is 2.66 %, its default 13.65
// %.
TEST(Quantize, NoiseOfTheGestureNetworkOfTheFirstUsers) {
  ESPQUANT_NEEDS_SHARED("golden/esp_ppq_gesture/calib.npz");
  const auto golden = (shared_dir() / "golden/esp_ppq_gesture").string();
  const auto network = (shared_dir() / "models/gesture_model.onnx").string();
  const TemporaryFolder folder;
  for (const auto& [target, most] : {std::pair{"esp32s3", 0.026}, std::pair{"esp32p4", 0.016}}) {
    const auto outcome = run_program({"quantize", network, "--calib", golden + "/calib.npz",
                                      "--data", golden + "/test.npz", "--target", target, "--out",
                                      folder.path("out"), "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_LE(nlohmann::json::parse(outcome.out)["noise_to_signal"], most) << target;
  }
}

}  // namespace
}  // namespace espquant::test
