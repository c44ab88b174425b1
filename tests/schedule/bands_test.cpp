#include <gtest/gtest.h>

#include "cost/memory_plan.h"
#include "schedule/choose_regions.h"
#include "schedule/fit_memory.h"
#include "schedule/same_integers.h"
#include "tests/schedule/filled.h"
#include "tests/support/errors.h"

namespace espquant::schedule {
namespace {

using test::filled;
using test::SmallModel;
using Numbers = std::vector<std::int64_t>;

/// Convolutions, the middle one over a large image, with a residual around it and a pool behind.
SmallModel network() {
  const Shape image{1, 32, 32, 16}, wide{1, 32, 32, 96};
  return SmallModel()
      .input("x", {1, 64, 64, 3})
      .constant("w0", DType::Int8, {3, 3, 3, 16}, {-8})
      .constant("b0", DType::Int32, {16}, {-8})
      .constant("w1", DType::Int8, {1, 1, 16, 96}, {-8})
      .constant("w2", DType::Int8, {3, 3, 96, 1}, {-8})
      .constant("b2", DType::Int32, {96}, {-8})
      .constant("w3", DType::Int8, {1, 1, 96, 16}, {-9})
      .node("Conv", {"x", "w0", "b0"}, "stem", image)
      .attribute("strides", Numbers{2, 2})
      .attribute("pads", Numbers{1, 1, 1, 1})
      .node("Conv", {"stem", "w1"}, "wide", wide)
      .attribute("activation", std::string("Relu"))
      .node("Conv", {"wide", "w2", "b2"}, "depthwise", wide)
      .attribute("group", std::int64_t{96})
      .attribute("pads", Numbers{1, 1, 1, 1})
      .node("Conv", {"depthwise", "w3"}, "narrow", image)
      .node("Add", {"stem", "narrow"}, "sum", image)
      .node("MaxPool", {"sum"}, "pooled", {1, 16, 16, 16})
      .attribute("kernel_shape", Numbers{2, 2})
      .attribute("strides", Numbers{2, 2})
      .attribute("pads", Numbers{0, 0, 0, 0})
      .node("GlobalAveragePool", {"pooled"}, "mean", {1, 1, 1, 16})
      .output("mean");
}

std::size_t planned(const espdl::Model& model, const Target& target) {
  return cost::plan_memory(model, target).activation_bytes();
}

class Bands : public testing::TestWithParam<const char*> {
 protected:
  const Target& target = find_target(GetParam());
  const espdl::Model before = filled(network());
};

TEST_P(Bands, LargeActivationsNeverExistWhole) {
  const std::size_t limit = planned(before, target) / 4;
  espdl::Model after = before;
  EXPECT_GT(compute_in_bands(after, {target}, limit), 0);
  EXPECT_LE(planned(after, target), limit);
  EXPECT_EQ(after.find_value("wide"), nullptr);
  EXPECT_EQ(after.outputs, before.outputs);
  require_same_integers(before, after, target);
}

TEST_P(Bands, WhatFitsStays) {
  espdl::Model after = before;
  EXPECT_EQ(compute_in_bands(after, {target}, planned(before, target)), 0);
  EXPECT_EQ(after.nodes, before.nodes);
}

TEST_P(Bands, WhatCannotBeFittedSaysWhatCan) {
  espdl::Model after = before;
  const Error error = test::error_of([&] { compute_in_bands(after, {target}, 4096); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "stem") << "the input of the network alone is larger";
  EXPECT_EQ(after.nodes, before.nodes);
  const std::string remedy = error.remedy();
  const auto at = remedy.find("ram=") + 4;
  const std::size_t least = std::stoul(remedy.substr(at)) * 1024;
  EXPECT_GT(compute_in_bands(after, {target}, least), 0) << remedy;
  EXPECT_LE(planned(after, target), least);
}

INSTANTIATE_TEST_SUITE_P(Chips, Bands, testing::Values("esp32s3", "esp32p4", "esp32"));

TEST(BandsOnTheS3, EachNodeHasABiasOfItsOwn) {
  const Target& target = find_target("esp32s3");
  espdl::Model after = filled(network());
  compute_in_bands(after, {target}, planned(after, target) / 4);
  std::set<std::string> biases;
  for (const auto& node : after.nodes)
    if (node.op == "Conv" && node.inputs.size() > 2) {
      EXPECT_TRUE(biases.insert(node.inputs[2]).second) << node.name;
    }
}

TEST(BandsOfATensorThatTestValuesName, EndInIt) {
  const Target& target = find_target("esp32s3");
  espdl::Model before = filled(network());
  before.test_outputs.push_back({"narrow", Tensor(DType::Int8, {1, 32, 32, 16}), {0}, ""});
  espdl::Model after = before;
  compute_in_bands(after, {target}, planned(after, target) / 3);
  require_same_integers(before, after, target);
}

TEST(RegionChooser, TakesNoBandsWhereNoneAreNeeded) {
  const espdl::Model model = filled(network());
  const Dataflow flow(model);
  const Conditions conditions{find_target("esp32s3")};
  RegionChooser chooser(flow, conditions);
  EXPECT_TRUE(chooser.choose(planned(model, conditions.target))->regions.empty());
  const auto choice = chooser.choose(planned(model, conditions.target) / 2);
  ASSERT_TRUE(choice);
  for (const auto& region : choice->regions) EXPECT_GE(region.bands(), 2);
  EXPECT_FALSE(chooser.choose(1000));
  EXPECT_EQ(chooser.obstacle().node, 0u);
}

}  // namespace
}  // namespace espquant::schedule
