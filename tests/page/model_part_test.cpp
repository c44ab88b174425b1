#include "page/model_part.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "espdl/filter_layout.h"
#include "page/page.h"
#include "page/weight_channels.h"
#include "tests/cost/small_model.h"

namespace espquant::page {
namespace {

using test::SmallModel;

/// 17 channels, so that one stands behind the block of 16: channel c has the weights c and -2c.
Tensor logical_filter() {
  Tensor filter(DType::Int8, {17, 1, 1, 2});
  auto values = filter.mutable_data<std::int8_t>();
  for (int c = 0; c < 17; ++c) {
    values[static_cast<std::size_t>(2 * c)] = static_cast<std::int8_t>(c);
    values[static_cast<std::size_t>(2 * c + 1)] = static_cast<std::int8_t>(-2 * c);
  }
  return filter;
}

espdl::Model conv_model() {
  auto model = SmallModel()
                   .input("x", {1, 4, 4, 2})
                   .constant("w", DType::Int8, {1, 1, 2, 17}, {-1})
                   .node("Conv", {"x", "w"}, "y", {1, 4, 4, 17})
                   .node("Relu", {"y"}, "z", {1, 4, 4, 17})
                   .output("z")
                   .model();
  model.initializers[0].data = espdl::pack_filter(logical_filter(), false, 16);
  return model;
}

TEST(WeightChannels, AreRealValuesInTheNetworksOrder) {
  const auto model = conv_model();
  const auto channels =
      weight_channels(model.nodes[0], &model.initializers[0], find_target("esp32s3"));
  ASSERT_EQ(channels.size(), 17U);
  for (int c = 0; c < 17; ++c) {
    const auto& channel = channels[static_cast<std::size_t>(c)];
    EXPECT_EQ(channel.max, 0.5 * c);
    EXPECT_EQ(channel.min, -1.0 * c);
    EXPECT_NEAR(channel.rms, 0.5 * c * std::sqrt(2.5), 1e-12);
  }
}

TEST(WeightChannels, HaveExponentsOfTheirOwn) {
  auto model = conv_model();
  model.initializers[0].exponents.assign(17, -1);
  model.initializers[0].exponents[16] = 0;
  const auto channels =
      weight_channels(model.nodes[0], &model.initializers[0], find_target("esp32p4"));
  ASSERT_EQ(channels.size(), 17U);
  EXPECT_EQ(channels[15].max, 7.5);
  EXPECT_EQ(channels[16].max, 16);
}

TEST(WeightChannels, AreNoneWhereNothingIsKnown) {
  const auto model = conv_model();
  EXPECT_TRUE(weight_channels(model.nodes[0], nullptr, find_target("esp32s3")).empty());
  EXPECT_TRUE(
      weight_channels(model.nodes[1], &model.initializers[0], find_target("esp32s3")).empty());
  auto twelve = model.initializers[0];
  twelve.exponents.assign(12, -1);
  EXPECT_TRUE(weight_channels(model.nodes[0], &twelve, find_target("esp32s3")).empty());
}

TEST(ModelPart, SaysWhatEachNodeTakes) {
  const auto model = conv_model();
  const Target& target = find_target("esp32s3");
  const auto cost = report::cost_of(model, target);
  const auto json = model_part(model, {"m.espdl", "EDL2", 4096, "esp32s3"}, target, &cost);
  const auto& conv = json["nodes"][0];
  EXPECT_EQ(conv["file_bytes"], 48);  // 34 bytes in blocks of 16
  EXPECT_EQ(conv["weights"]["max"].size(), 17U);
  EXPECT_FALSE(json["nodes"][1].contains("weights"));
  // 32 bytes of input and 272 of output, the Relu in place.
  EXPECT_EQ(conv["psram_bytes"], 304);
  EXPECT_EQ(conv["internal_bytes"], 0);
  EXPECT_EQ(json["memory"]["psram"], 304);
  EXPECT_EQ(json["memory"]["tensors"].size(), 3U);
  EXPECT_EQ(json["memory"]["tensors"][2]["shares"], "y");
  EXPECT_TRUE(json["memory"]["tensors"][2]["end"].is_null());
  EXPECT_LE(conv["waiting_milliseconds"], conv["milliseconds"]);
}

TEST(ModelPart, DoesWithoutACost) {
  const auto json = model_part(conv_model(), {"m.espdl", "EDL2", 4096, "esp32s3"},
                               find_target("esp32s3"), nullptr);
  EXPECT_FALSE(json.contains("memory"));
  EXPECT_EQ(json["nodes"][0]["file_bytes"], 48);
}

TEST(Rounded, KeepsFourDigits) {
  EXPECT_EQ(rounded(123456.0), 123500.0);
  EXPECT_EQ(rounded(-0.00012345678), -0.0001235);
  EXPECT_EQ(rounded(0), 0);
  EXPECT_EQ(rounded(1e-320), 0);
}

TEST(NodeData, IsByNameOfTheNode) {
  auto page = page_of({"inspect", "m", "c"});
  page["models"].push_back({{"nodes",
                             {{{"name", "a"}, {"file_bytes", 3}},
                              {{"name", "b"}, {"file_bytes", 5}, {"milliseconds", 1.5}}}}});
  const auto data = nlohmann::json::parse(node_data_of(page));
  EXPECT_EQ(data["results"]["a"]["value"], 3);
  EXPECT_EQ(data["results"]["b"]["value"], 1.5);
}

}  // namespace
}  // namespace espquant::page
