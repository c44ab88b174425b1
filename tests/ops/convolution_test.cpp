#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using ops::test::counting;
using ops::test::floats;
using ops::test::Ints;
using ops::test::OneNode;
using ops::test::refusal;
using ops::test::values;

const Tensor kOnes2 = floats({1, 1, 2}, {1, 1});

TEST(Conv, OneDimension) {
  const Tensor y = OneNode("Conv", {counting({1, 1, 4}), kOnes2, floats({1}, {10})}).result();
  EXPECT_EQ(y.shape(), (Shape{1, 1, 3}));
  EXPECT_EQ(values(y), (std::vector<float>{11, 13, 15}));
}

TEST(Conv, DilationSpreadsTheTaps) {
  EXPECT_EQ(
      values(OneNode("Conv", {counting({1, 1, 4}), kOnes2}, {{"dilations", Ints{3}}}).result()),
      (std::vector<float>{3}));
}

TEST(Conv, PaddingMayExceedTheInput) {
  const Tensor y = OneNode("Conv", {counting({1, 1, 2}), kOnes2}, {{"pads", Ints{3, 0}}}).result();
  EXPECT_EQ(values(y), (std::vector<float>{0, 0, 0, 1}));
}

TEST(Conv, GroupsSeeTheirOwnChannels) {
  // Channels {0,1} and {2,3} of one element each.
  const OneNode node("Conv", {counting({1, 4, 1}), floats({2, 2, 1}, {1, 1, 1, 1})},
                     {{"group", std::int64_t{2}}});
  EXPECT_EQ(values(node.result()), (std::vector<float>{1, 5}));
}

TEST(Conv, SameLowerPadsInFront) {
  OneNode node("Conv", {counting({1, 1, 3}), kOnes2}, {{"auto_pad", std::string("SAME_LOWER")}});
  EXPECT_EQ(values(node.result()), (std::vector<float>{0, 1, 3}));
  node.set("auto_pad", std::string("SAME_UPPER"));
  EXPECT_EQ(values(node.result()), (std::vector<float>{1, 3, 2}));
}

TEST(Conv, ThreeDimensions) {
  const Tensor y =
      OneNode("Conv", {counting({1, 1, 2, 2, 2}), floats({1, 1, 2, 1, 1}, {1, 1})}).result();
  EXPECT_EQ(y.shape(), (Shape{1, 1, 1, 2, 2}));
  EXPECT_EQ(values(y), (std::vector<float>{4, 6, 8, 10}));
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Tensor x = counting({1, 4, 5}), w = counting({2, 2, 3});
  const OneNode sound("Conv", {x, w}, {{"group", std::int64_t{2}}});
  EXPECT_EQ(sound.result().shape(), (Shape{1, 2, 3}));
  EXPECT_EQ(refusal(OneNode("Conv", {x, w})), ErrorCode::Malformed) << "channels";
  EXPECT_EQ(refusal(OneNode(sound).set("group", std::int64_t{0})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(OneNode(sound).set("strides", Ints{0})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(OneNode(sound).set("strides", Ints{1, 1})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(OneNode(sound).set("pads", Ints{-1, 0})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(OneNode(sound).set("dilations", Ints{3})), ErrorCode::BadData)
      << "kernel beyond the input";
  EXPECT_EQ(refusal(OneNode(sound).set("kernel_shape", Ints{5})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(OneNode("Conv", {x, w, counting({3})}, {{"group", std::int64_t{2}}})),
            ErrorCode::Malformed);
}

TEST(ConvTranspose, IsTheAdjointOfConv) {
  // <Conv(x), y> == <x, ConvTranspose(y)> for the same weights, strides, pads and dilations.
  const Tensor w = floats({1, 1, 3}, {1, -2, 3});
  const auto with = [&](const char* op, const Tensor& in) {
    return OneNode(op, {in, w},
                   {{"strides", Ints{2}}, {"pads", Ints{1, 0}}, {"dilations", Ints{2}}})
        .result();
  };
  const auto dot = [](const Tensor& a, const Tensor& b) {
    float sum = 0;
    for (std::size_t i = 0; i < values(a).size(); ++i) sum += values(a)[i] * values(b)[i];
    return sum;
  };
  const Tensor x = counting({1, 1, 10});
  const Tensor forward = with("Conv", x);
  ASSERT_EQ(forward.shape(), (Shape{1, 1, 4}));
  const Tensor y = counting({1, 1, 4});
  const Tensor backward = with("ConvTranspose", y);
  ASSERT_EQ(backward.shape(), x.shape());
  EXPECT_EQ(dot(forward, y), dot(x, backward));
}

TEST(ConvTranspose, IsInsertZerosAndAFlippedConv) {
  // ESP-DL 3.4.
  const Tensor x = counting({1, 1, 3});
  const Tensor direct =
      OneNode("ConvTranspose", {x, floats({1, 1, 3}, {1, 2, 3})},
              {{"strides", Ints{2}}, {"output_padding", Ints{1}}, {"pads", Ints{1, 1}}})
          .result();
  const Tensor spread =
      OneNode("InsertZeros", {x}, {{"stride", Ints{2}}, {"output_padding", Ints{1}}}).result();
  const Tensor composed =
      OneNode("Conv", {spread, floats({1, 1, 3}, {3, 2, 1})}, {{"pads", Ints{1, 1}}}).result();
  EXPECT_EQ(values(spread), (std::vector<float>{0, 0, 1, 0, 2, 0}));
  EXPECT_EQ(values(direct), values(composed));
}

TEST(ConvTranspose, RefusesPadsThatLeaveNothing) {
  EXPECT_EQ(
      refusal(OneNode("ConvTranspose", {counting({1, 1, 1}), kOnes2}, {{"pads", Ints{2, 2}}})),
      ErrorCode::BadData);
}

TEST(AveragePool, CeilModeCountsNoPositionBehindThePadding) {
  // Windows of 3 at stride 2 over (0,1,2,3): the second one reaches one position beyond the input.
  OneNode node("AveragePool", {counting({1, 1, 4})},
               {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}, {"ceil_mode", std::int64_t{1}}});
  EXPECT_EQ(values(node.result()), (std::vector<float>{1, 2.5F}));
  node.set("count_include_pad", std::int64_t{1});
  EXPECT_EQ(values(node.result()), (std::vector<float>{1, 2.5F}));
  node.set("pads", Ints{0, 1}).set("ceil_mode", std::int64_t{0});
  EXPECT_FLOAT_EQ(values(node.result())[1], 5.0F / 3.0F) << "given padding does count";
}

TEST(AveragePool, CeilModeDropsAWindowThatStartsInThePadding) {
  const OneNode node("AveragePool", {counting({1, 1, 4})},
                     {{"kernel_shape", Ints{2}},
                      {"strides", Ints{4}},
                      {"pads", Ints{0, 1}},
                      {"ceil_mode", std::int64_t{1}}});
  EXPECT_EQ(values(node.result()), (std::vector<float>{0.5F}));
}

TEST(AveragePool, Dilation) {
  OneNode node("AveragePool", {counting({1, 1, 5})},
               {{"kernel_shape", Ints{2}}, {"dilations", Ints{3}}});
  EXPECT_EQ(values(node.at(19).result()), (std::vector<float>{1.5F, 2.5F}));
}

TEST(MaxPool, PaddingIsNeverTheMaximum) {
  const OneNode node("MaxPool", {floats({1, 1, 2}, {-5, -7})},
                     {{"kernel_shape", Ints{2}}, {"pads", Ints{1, 1}}});
  EXPECT_EQ(values(node.result()), (std::vector<float>{-5, -5, -7}));
}

TEST(MaxPool, IndicesInColumnOrder) {
  const auto results = OneNode("MaxPool", {counting({1, 1, 2, 3})},
                               {{"kernel_shape", Ints{2, 2}}, {"storage_order", std::int64_t{1}}})
                           .with_outputs(2)
                           .run();
  const auto indices = results[1].data<std::int64_t>();
  EXPECT_EQ(Ints(indices.begin(), indices.end()), (Ints{3, 5}));
}

TEST(Pool, RefusesWhatDoesNotFit) {
  for (const char* op : {"AveragePool", "MaxPool"}) {
    const OneNode sound(op, {counting({1, 1, 4})}, {{"kernel_shape", Ints{2}}});
    EXPECT_EQ(sound.result().shape(), (Shape{1, 1, 3}));
    EXPECT_EQ(refusal(OneNode(op, {counting({1, 1, 4})})), ErrorCode::Malformed) << "no kernel";
    EXPECT_EQ(refusal(OneNode(sound).set("kernel_shape", Ints{0})), ErrorCode::Malformed);
    EXPECT_EQ(refusal(OneNode(sound).set("kernel_shape", Ints{5})), ErrorCode::BadData);
    EXPECT_EQ(refusal(OneNode(sound).set("pads", Ints{2, 0})), ErrorCode::Malformed)
        << "a window of padding";
    EXPECT_EQ(refusal(OneNode(sound).set("auto_pad", std::string("SAME"))), ErrorCode::Malformed);
  }
}

}  // namespace
}  // namespace espquant::ops
