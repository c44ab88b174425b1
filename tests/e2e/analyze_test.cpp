#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "espdl/filter_layout.h"
#include "espdl/writer.h"
#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

/// Two 1x1 convolutions for the ESP32-S3 on one pixel of 40 channels, all weights 127: the sums of
/// the first pass the limit of the lanes where the inputs are above 103, those of the second never.
void write_model(const std::string& path) {
  Tensor wide(DType::Int8, {16, 1, 1, 40}), narrow(DType::Int8, {16, 1, 1, 16});
  for (std::int8_t& w : wide.mutable_data<std::int8_t>()) w = 127;
  for (std::int8_t& w : narrow.mutable_data<std::int8_t>()) w = 127;
  espdl::Model model;
  model.name = "two";
  model.metadata = {{"target", "esp32s3"}};
  model.inputs = {"x"};
  model.outputs = {"z"};
  model.values = {{"x", DType::Int8, {1, 1, 1, 40}, {0}},
                  {"y", DType::Int8, {1, 1, 1, 16}, {14}},
                  {"z", DType::Int8, {1, 1, 1, 16}, {24}}};
  model.initializers = {{"w1", espdl::pack_filter(wide, false, 16), {0}, ""},
                        {"w2", espdl::pack_filter(narrow, false, 16), {0}, ""}};
  espdl::Node first, second;
  first.name = "too_large";
  second.name = "fine";
  first.op = second.op = "Conv";
  first.inputs = {"x", "w1"};
  first.outputs = {"y"};
  second.inputs = {"y", "w2"};
  second.outputs = {"z"};
  model.nodes = {first, second};
  model.opsets = {{"", 18}};
  OutputFiles files;
  files.add(path, espdl::write_model(model));
  files.commit();
}

/// Two samples: all 50, all 127.
void write_data(const std::string& path) {
  Tensor x(DType::Float32, {2, 1, 1, 40});
  for (std::size_t i = 0; i < 80; ++i) x.mutable_data<float>()[i] = i < 40 ? 50.F : 127.F;
  write_arrays(path, {{"x", x}});
}

class Analyze : public testing::Test {
 protected:
  void SetUp() override {
    write_model(folder_.path("m.espdl"));
    write_data(folder_.path("d.npz"));
  }
  Outcome analyze(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"analyze", folder_.path("m.espdl"), "--data",
                                       folder_.path("d.npz")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  TemporaryFolder folder_;
};

TEST_F(Analyze, TheLayerThatSaturatesComesFirstWithItsRemedy) {
  const auto outcome = analyze();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_LT(outcome.out.find("too_large"), outcome.out.find("fine")) << outcome.out;
  EXPECT_NE(outcome.out.find("16 of 64 (25.0 %), in 1 of 2 layers"), std::string::npos)
      << outcome.out;
  EXPECT_NE(outcome.out.find("raise the exponents of its input and weights by 1 in total"),
            std::string::npos)
      << outcome.out;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line) && line.rfind("Samples", 0) != 0;)
    EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(Analyze, JsonAndCsvListLayersInOrderOfExecution) {
  const auto outcome = analyze({"--json", "--csv", folder_.path("layers.csv")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["target"], "esp32s3");
  EXPECT_EQ(json["samples"], 2);
  EXPECT_EQ(json["at_limit"], 16);
  ASSERT_EQ(json["layers"].size(), 2u);
  EXPECT_EQ(json["layers"][0]["node"], "too_large");
  EXPECT_EQ(json["layers"][0]["at_limit"], 16);
  EXPECT_DOUBLE_EQ(json["layers"][0]["largest_sum"], 40 * 127 * 127 / 524287.0);
  EXPECT_EQ(json["layers"][0]["changed"], 16);
  EXPECT_EQ(json["layers"][1]["at_limit"], 0);
  EXPECT_EQ(json["layers"][1]["advice"], "");
  std::ifstream csv(folder_.path("layers.csv"));
  std::string header, row;
  std::getline(csv, header);
  std::getline(csv, row);
  EXPECT_EQ(header.rfind("node,op,tensor,type,outputs,at_limit", 0), 0u) << header;
  EXPECT_EQ(row.rfind("\"too_large\",\"Conv\",\"y\",int8,32,16,16,", 0), 0u) << row;
}

TEST_F(Analyze, OnAChipWithWideSumsThereIsNothingToSay) {
  const auto outcome = analyze({"--target", "esp32p4"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("0 of 64 (0 %)"), std::string::npos) << outcome.out;
}

TEST_F(Analyze, WithoutDataTheRemedyIsNamed) {
  const auto outcome = run_program({"analyze", folder_.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("--data"), std::string::npos) << outcome.err;
}

TEST_F(Analyze, DataThatDoNotFitAreRefused) {
  write_arrays(folder_.path("d.npz"), {{"x", Tensor(DType::Float32, {2, 1, 1, 41})}});
  const auto outcome = analyze();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("41"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace espquant::test
