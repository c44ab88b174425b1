#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schedule/rewrites.h"
#include "schedule/same_integers.h"
#include "tests/schedule/filled.h"

namespace espquant::schedule {
namespace {

using test::filled;
using test::SmallModel;
using Numbers = std::vector<std::int64_t>;

double milliseconds(const espdl::Model& model, const Target& target) {
  return cost::estimate_latency(model, target).milliseconds;
}

/// MobileNetV1 of a quarter of the width on 96 x 96: 8 channels first.
SmallModel mobilenet() {
  SmallModel model;
  std::string at = "x";
  std::int64_t side = 96, channels = 3;
  const auto convolution = [&](const std::string& name, std::int64_t kernel, std::int64_t stride,
                               std::int64_t out, bool depthwise) {
    side /= stride;
    model.constant(name + "_w", DType::Int8, {kernel, kernel, channels, depthwise ? 1 : out}, {-8})
        .constant(name + "_b", DType::Int32, {out}, {-8})
        .node("Conv", {at, name + "_w", name + "_b"}, name, {1, side, side, out})
        .attribute("strides", Numbers{stride, stride})
        .attribute("pads", kernel == 3 ? Numbers{1, 1, 1, 1} : Numbers{0, 0, 0, 0})
        .attribute("group", depthwise ? channels : std::int64_t{1})
        .attribute("activation", std::string("Relu"));
    at = name;
    channels = out;
  };
  model.input("x", {1, 96, 96, 3});
  convolution("stem", 3, 2, 8, false);
  const std::vector<std::pair<std::int64_t, std::int64_t>> blocks = {
      {1, 16},  {2, 32},  {1, 32},  {2, 64},  {1, 64},  {2, 128}, {1, 128},
      {1, 128}, {1, 128}, {1, 128}, {1, 128}, {2, 256}, {1, 256}};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    convolution(fmt::format("depthwise{}", b), 3, blocks[b].first, channels, true);
    convolution(fmt::format("pointwise{}", b), 1, 1, blocks[b].second, false);
  }
  return model.node("GlobalAveragePool", {at}, "mean", {1, 1, 1, channels}).output("mean");
}

TEST(PadChannels, AFirstLayerOfFewChannelsTakesTheFastKernels) {
  const Target& target = find_target("esp32p4").under(find_release("3.3.14"));
  const espdl::Model before = filled(mobilenet());
  espdl::Model after = before;
  EXPECT_EQ(pad_channels(after, {target}), 1);
  EXPECT_EQ(after.find_value("stem"), nullptr);
  EXPECT_EQ(after.find_value("stem_padded")->shape.back(), 16);
  EXPECT_EQ(after.nodes[1].get_int("group", 0), 16);
  EXPECT_GT(milliseconds(before, target), 13);
  EXPECT_LT(milliseconds(after, target), 8);
  require_same_integers(before, after, target);
  const Target& s3 = find_target("esp32s3");
  after = before;
  EXPECT_EQ(pad_channels(after, {s3}), 1);
  require_same_integers(before, after, s3);
}

/// Two convolutions of 40 channels with a sum of both, and one that reads it.
SmallModel residual(DType dtype = DType::Int8, int exponent = -10) {
  const bool wide = dtype == DType::Int16;
  const Shape image{1, 24, 24, 40};
  SmallModel model;
  model.input("x", {1, 24, 24, 32}, dtype);
  for (const char* branch : {"a", "b"})
    model.constant(std::string(branch) + "_w", dtype, {1, 1, 32, 40}, {exponent})
        .constant(std::string(branch) + "_b", wide ? DType::Int64 : DType::Int32, {40}, {exponent})
        .node("Conv", {"x", std::string(branch) + "_w", std::string(branch) + "_b"}, branch, image,
              dtype);
  return model.node("Add", {"a", "b"}, "sum", image, dtype)
      .constant("y_w", dtype, {3, 3, 40, 48}, {exponent})
      .node("Conv", {"sum", "y_w"}, "y", {1, 24, 24, 48}, dtype)
      .attribute("pads", Numbers{1, 1, 1, 1})
      .output("y");
}

TEST(PadChannels, TensorsThatAreAddedArePaddedTogether) {
  for (const char* name : {"esp32s3", "esp32p4"}) {
    const Target& target = find_target(name);
    const espdl::Model before = filled(residual());
    espdl::Model after = before;
    EXPECT_EQ(pad_channels(after, {target}), 1);
    for (const char* tensor : {"a_padded", "b_padded", "sum_padded"})
      EXPECT_EQ(after.find_value(tensor)->shape.back(), 48) << tensor;
    require_same_integers(before, after, target);
  }
}

TEST(PadChannels, WhoeverNeedsTheTensorItselfGetsASlice) {
  const Target& target = find_target("esp32s3");
  const espdl::Model before = filled(residual().output("sum"));
  espdl::Model after = before;
  EXPECT_EQ(pad_channels(after, {target}), 1);
  EXPECT_EQ(after.find_value("sum")->shape.back(), 40);
  require_same_integers(before, after, target);
}

TEST(PadChannels, ChannelsStayWhoseSumsTheLanesWouldClip) {
  // Of 1024 inputs, some sum may pass 20 bits; the register of channels that fill no vector is
  // wider.
  const espdl::Model before = filled(SmallModel()
                                         .input("x", {1, 8, 8, 1024})
                                         .constant("w", DType::Int8, {1, 1, 1024, 40}, {-10})
                                         .node("Conv", {"x", "w"}, "y", {1, 8, 8, 40})
                                         .constant("v", DType::Int8, {1, 1, 40, 64}, {-10})
                                         .node("Conv", {"y", "v"}, "z", {1, 8, 8, 64})
                                         .output("z"));
  espdl::Model after = before;
  EXPECT_EQ(pad_channels(after, {find_target("esp32s3")}), 0);
  EXPECT_EQ(after.nodes, before.nodes);
  EXPECT_EQ(pad_channels(after, {find_target("esp32p4")}), 1) << "its lanes have 32 bits";
  require_same_integers(before, after, find_target("esp32p4"));
}

TEST(PadChannels, SixteenBitsFillVectorsOfEight) {
  espdl::Model model = filled(residual(DType::Int16, -20));
  EXPECT_EQ(pad_channels(model, {find_target("esp32s3")}), 0) << "40 channels are five of them";
}

TEST(PadChannels, PortableKernelsKnowNoVectors) {
  espdl::Model model = filled(residual());
  EXPECT_EQ(pad_channels(model, {find_target("esp32")}), 0);
}

}  // namespace
}  // namespace espquant::schedule
