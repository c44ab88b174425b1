#include "report/config_json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/cost/small_model.h"

namespace espquant::report {
namespace {

using Json = nlohmann::json;
using test::SmallModel;

espdl::Model conv_model(std::vector<int> weight_exponents = {-6}) {
  auto model = SmallModel()
                   .input("x", {1, 4, 4, 3})
                   .constant("w", DType::Int8, {1, 1, 3, 2}, weight_exponents)
                   .constant("b", DType::Int32, {2}, weight_exponents)
                   .node("Conv", {"x", "w", "b"}, "y", {1, 4, 4, 2})
                   .attribute("quant_type", std::string("S8"))
                   .output("y")
                   .model();
  model.values[1].exponents = {-3};
  return model;
}

Json json_of(const espdl::Model& model, const char* target = "esp32s3") {
  return Json::parse(config_json(model, find_target(target)));
}

TEST(ConfigJson, DescribesEveryTensorOfANode) {
  const Json json = json_of(conv_model());
  const Json& conv = json["configs"]["y"];
  ASSERT_EQ(conv.size(), 4U);
  EXPECT_EQ(conv["x"]["bit_width"], 8);
  EXPECT_EQ(conv["x"]["state"], "OVERLAPPED");
  EXPECT_EQ(conv["w"]["state"], "ACTIVATED");
  EXPECT_EQ(conv["b"]["state"], "PASSIVE");
  EXPECT_EQ(conv["y"]["state"], "ACTIVATED");
  EXPECT_EQ(conv["y"]["quant_min"], -128);
  EXPECT_EQ(conv["y"]["quant_max"], 127);
  EXPECT_EQ(json["dispatchings"]["y"], "ESPDL_S3_INT8");
}

TEST(ConfigJson, ABiasHasTheWidthThatTheChipGivesIt) {
  EXPECT_EQ(json_of(conv_model(), "esp32s3")["configs"]["y"]["b"]["bit_width"], 20);
  EXPECT_EQ(json_of(conv_model(), "esp32p4")["configs"]["y"]["b"]["bit_width"], 32);
}

TEST(ConfigJson, ScalesArePowersOfTwoFoundByTheTensorsId) {
  const Json json = json_of(conv_model());
  const auto id = json["configs"]["y"]["y"]["dominator"].get<std::uint32_t>();
  EXPECT_EQ(json["values"][std::to_string(id)]["scale"], 0.125);
  EXPECT_EQ(json["values"][std::to_string(id)]["zero_point"], 0.0);
}

TEST(ConfigJson, ChannelsHaveAScaleEach) {
  const Json json = json_of(conv_model({-6, -5}), "esp32p4");
  const Json& weights = json["configs"]["y"]["w"];
  EXPECT_TRUE(weights["policy"]["PER_CHANNEL"]);
  const auto id = weights["hash"].get<std::uint32_t>();
  EXPECT_EQ(json["values"][std::to_string(id)]["scale"], Json({0.015625, 0.03125}));
}

TEST(ConfigJson, IdsDependOnNamesAlone) {
  const auto alone = json_of(conv_model());
  auto model = conv_model();
  model.initializers.push_back({"unrelated", Tensor(DType::Int8, {4}), {0}, ""});
  model.values.push_back({"z", DType::Int8, {1}, {0}});
  std::swap(model.initializers[0], model.initializers[2]);
  EXPECT_EQ(json_of(model), alone);
  EXPECT_EQ(config_json(conv_model(), find_target("esp32s3")),
            config_json(conv_model(), find_target("esp32s3")));
}

TEST(ConfigJson, RequantizationIsNoOperatorOfTheNetwork) {
  auto model = conv_model();
  model.nodes[0].op = "RequantizeLinear";
  const Json json = json_of(model);
  EXPECT_TRUE(json["configs"].empty());
  EXPECT_TRUE(json["dispatchings"].empty());
}

TEST(ConfigJson, A64BitBiasHasItsWholeRange) {
  auto model = conv_model();
  model.initializers[1].data = Tensor(DType::Int64, {2});
  const Json bias = json_of(model, "esp32")["configs"]["y"]["b"];
  EXPECT_EQ(bias["bit_width"], 64);
  EXPECT_EQ(bias["quant_max"], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(bias["quant_min"], std::numeric_limits<std::int64_t>::min());
}

}  // namespace
}  // namespace espquant::report
