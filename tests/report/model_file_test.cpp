#include "report/model_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "report/page.h"
#include "tests/cost/small_model.h"

namespace espquant::report {
namespace {

using Json = nlohmann::json;
using test::SmallModel;

std::size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

std::string long_name(const std::string& end) { return std::string(150, 'a') + end; }

/// Every name that a file can give is long.
espdl::Model wordy_model() {
  auto model =
      SmallModel()
          .input(long_name("in"), {1, 64, 64, 16})
          .constant(long_name("w"), DType::Int8, {3, 3, 16, 16}, {-6, -5})
          .node("Conv", {long_name("in"), long_name("w")}, long_name("mid"), {1, 64, 64, 16})
          .attribute("pads", std::vector<std::int64_t>{1, 1, 1, 1})
          .attribute(long_name("attribute"), std::string(200, 'v'))
          .node("Softmax", {long_name("mid")}, long_name("out"), {1, 64, 64, 16}, DType::Float32)
          .output(long_name("out"))
          .model();
  model.name = long_name("model");
  model.producer = long_name("producer");
  model.metadata = {{long_name("key"), long_name("value")}};
  return model;
}

FileFacts facts() { return {long_name(".espdl"), "EDL2", 4096, "esp32s3"}; }

class WithPageWidth : public testing::Test {
 protected:
  WithPageWidth() { set_page_width(100); }
  ~WithPageWidth() override { set_page_width(kUnlimited); }
};
using ModelFileText = WithPageWidth;
using CostTable = WithPageWidth;

TEST_F(ModelFileText, IsNeverWiderThanThePage) {
  EXPECT_LE(longest_line(to_text(wordy_model(), facts())), 100U);
}

TEST_F(ModelFileText, HasOneLineOfMetadataThatHaveMany) {
  auto model = wordy_model();
  model.metadata = {{"recipe", "first = 1\nsecond = 2\n"}};
  const std::string text = to_text(model, facts());
  EXPECT_NE(text.find("recipe=first = 1 ... (2 lines"), std::string::npos) << text;
  EXPECT_EQ(text.find("second"), std::string::npos);
}

TEST_F(ModelFileText, HasNoBlankForAVersionThatIsNotKnown) {
  auto model = wordy_model();
  model.producer = "someone";
  EXPECT_NE(to_text(model, facts()).find("producer   someone\n"), std::string::npos);
}

TEST_F(ModelFileText, SaysWhereTheBytesGo) {
  const std::string text = to_text(wordy_model(), facts());
  EXPECT_NE(text.find("filters"), std::string::npos);
  EXPECT_NE(text.find("2,304"), std::string::npos) << "3x3x16x16";
  EXPECT_NE(text.find("4,096"), std::string::npos) << "the whole file";
}

TEST(Json, HoldsWhatTheTextShortens) {
  const Json json = Json::parse(to_json(wordy_model(), facts()));
  EXPECT_EQ(json["name"], long_name("model"));
  EXPECT_EQ(json["inputs"][0]["name"], long_name("in"));
  EXPECT_EQ(json["nodes"][0]["inputs"][1]["exponents"], Json({-6, -5}));
  EXPECT_EQ(json["nodes"][1]["outputs"][0]["dtype"], "float32");
  EXPECT_EQ(json["metadata"][long_name("key")], long_name("value"));
  EXPECT_FALSE(json.contains("latency")) << "not asked for";
}

TEST(Json, BytesThatAreNoUtf8DoNotSpoilIt) {
  auto model = wordy_model();
  model.doc = model.name = "\xff\xfe";
  EXPECT_TRUE(Json::accept(to_json(model, facts())));
}

TEST_F(CostTable, IsNeverWiderThanThePage) {
  const auto model = wordy_model();
  const Cost cost = cost_of(model, find_target("esp32s3"));
  EXPECT_LE(longest_line(cost_table(model, cost)), 100U);
  EXPECT_LE(longest_line(cost_summary(cost)), 100U);
}

TEST_F(CostTable, HasARowPerNodeAndATotal) {
  const auto model = wordy_model();
  const std::string table = cost_table(model, cost_of(model, find_target("esp32s3")));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2 + 2 + 2);
  EXPECT_NE(table.find("9.24"), std::string::npos) << "million MACs of the convolution";
}

TEST(CostSummary, SaysWhereActivationsAndParametersAre) {
  const auto model = wordy_model();
  const Target& target = find_target("esp32s3");
  const auto usual = cost_summary(cost_of(model, target));
  EXPECT_NE(usual.find("393,216 bytes of PSRAM"), std::string::npos) << usual;
  EXPECT_NE(usual.find("2,304 bytes of flash, copied"), std::string::npos) << usual;
  EXPECT_NE(usual.find("at 240 MHz"), std::string::npos) << usual;

  cost::PlannerOptions options;
  options.copy_parameters = false;
  options.max_internal_size = 65536;
  const auto other = cost_summary(cost_of(model, target, options));
  EXPECT_NE(other.find("65,536 bytes of internal RAM"), std::string::npos) << other;
  EXPECT_NE(other.find("2,304 bytes of flash, read from there"), std::string::npos) << other;
}

TEST(CostSummary, WarnsOfWhatTheRuntimeOverwrites) {
  const auto model = SmallModel()
                         .input("x", {1, 64})
                         .node("Reshape", {"x"}, "y", {64})
                         .node("Relu", {"y"}, "z", {64})
                         .node("Concat", {"x", "z"}, "out", {1, 128})
                         .output("out")
                         .model();
  const auto text = cost_summary(cost_of(model, find_target("esp32s3")));
  EXPECT_NE(text.find("overwrites 'x' in node 'z'"), std::string::npos) << text;
}

TEST(CostJson, AddsMemoryAndTimePerNode) {
  const auto model = wordy_model();
  const Cost cost = cost_of(model, find_target("esp32s3"));
  const Json json = Json::parse(to_json(model, facts(), &cost));
  EXPECT_EQ(json["memory"]["psram"], 393216);
  EXPECT_EQ(json["memory"]["parameters"], 2304);
  const double sum = json["nodes"][0]["milliseconds"].get<double>() +
                     json["nodes"][1]["milliseconds"].get<double>();
  EXPECT_DOUBLE_EQ(json["latency"]["milliseconds"], sum);
  EXPECT_LT(json["latency"]["least"], json["latency"]["most"]);
}

}  // namespace
}  // namespace espquant::report
