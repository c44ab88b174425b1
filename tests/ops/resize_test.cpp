#include <gtest/gtest.h>

#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using ops::test::counting;
using ops::test::Floats;
using ops::test::floats;
using ops::test::Ints;
using ops::test::ints;
using ops::test::OneNode;
using ops::test::refusal;
using ops::test::values;

OneNode by_scale(Tensor x, std::initializer_list<float> scales) {
  const auto count = static_cast<std::int64_t>(scales.size());
  return {"Resize", {std::move(x), Tensor(), Tensor::of<float>({count}, scales)}};
}
OneNode by_size(Tensor x, std::initializer_list<std::int64_t> sizes) {
  return {"Resize", {std::move(x), Tensor(), Tensor(), ints(sizes)}};
}

TEST(Resize, DoublesByNearestInEveryElementType) {
  const Tensor x = Tensor::of<std::int8_t>({2}, {-1, 7});
  EXPECT_TRUE(by_scale(x, {2}).result().equals(Tensor::of<std::int8_t>({4}, {-1, -1, 7, 7})));
}

TEST(Resize, Opset10IsAsymmetric) {
  OneNode node("Resize", {counting({4}), floats({1}, {0.6F})});
  EXPECT_EQ(values(node.at(10).result()), (std::vector<float>{0, 2}));
  node.inputs[1] = floats({1}, {1.5F});
  EXPECT_EQ(values(node.at(10).result()), (std::vector<float>{0, 0, 1, 2, 2, 3}));
}

TEST(Upsample, ScalesAsAttributeOrInput) {
  EXPECT_EQ(values(OneNode("Upsample", {counting({2})}, {{"scales", Floats{2}}}).at(7).result()),
            (std::vector<float>{0, 0, 1, 1}));
  EXPECT_EQ(values(OneNode("Upsample", {counting({2}), floats({1}, {2})},
                           {{"mode", std::string("linear")}})
                       .at(9)
                       .result()),
            (std::vector<float>{0, 0.5F, 1, 1}));
}

TEST(Resize, HalfPixelLinear) {
  EXPECT_EQ(values(by_scale(counting({2}), {2}).set("mode", std::string("linear")).result()),
            (std::vector<float>{0, 0.25F, 0.75F, 1}));
}

TEST(Resize, AlignCornersReachesTheLastElementExactly) {
  const Tensor y = by_size(counting({3}), {10})
                       .set("nearest_mode", std::string("floor"))
                       .set("coordinate_transformation_mode", std::string("align_corners"))
                       .result();
  EXPECT_EQ(values(y).front(), 0);
  EXPECT_EQ(values(y).back(), 2);
}

TEST(Resize, AntialiasingAveragesWhenShrinking) {
  // A triangle of twice the width: weights 1/8, 3/8, 3/8, 1/8 inside the row.
  const Tensor y = by_scale(counting({8}), {0.5F})
                       .set("mode", std::string("linear"))
                       .set("antialias", std::int64_t{1})
                       .at(18)
                       .result();
  EXPECT_FLOAT_EQ(values(y)[1], 2.5F);
  EXPECT_FLOAT_EQ(values(y)[0], 0.625F) << "the edge repeats";
}

TEST(Resize, SomeAxesOnly) {
  const Tensor y =
      OneNode("Resize", {counting({2, 1}), Tensor(), floats({1}, {2})}, {{"axes", Ints{1}}})
          .at(18)
          .result();
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
}

TEST(Resize, KeepsTheAspectRatio) {
  OneNode node = by_size(counting({2, 4}), {6, 8}).at(18);
  EXPECT_EQ(node.set("keep_aspect_ratio_policy", std::string("not_larger")).result().shape(),
            (Shape{4, 8}));
  EXPECT_EQ(node.set("keep_aspect_ratio_policy", std::string("not_smaller")).result().shape(),
            (Shape{6, 12}));
}

TEST(Resize, OutsideTheCropIsTheExtrapolationValue) {
  const Tensor y = OneNode("Resize", {counting({3}), floats({2}, {0, 2}), Tensor(), ints({3})},
                           {{"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
                            {"extrapolation_value", 9.0F}})
                       .result();
  EXPECT_EQ(values(y), (std::vector<float>{0, 2, 9}));
}

TEST(Resize, RefusesWhatDoesNotFit) {
  const Tensor x = counting({4});
  EXPECT_EQ(refusal(by_scale(x, {0})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(by_scale(x, {-1})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(by_scale(x, {1, 1})), ErrorCode::Malformed);
  EXPECT_EQ(refusal(by_scale(x, {1e30F})), ErrorCode::BadData);
  EXPECT_EQ(refusal(by_size(x, {0})), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Resize", {x}}), ErrorCode::Malformed) << "neither scales nor sizes";
  EXPECT_EQ(refusal(by_scale(x, {2}).set("mode", std::string("bicubic"))), ErrorCode::Malformed);
  EXPECT_EQ(refusal(by_scale(ints({1, 2}), {2}).set("mode", std::string("linear"))),
            ErrorCode::Unsupported);
  EXPECT_EQ(refusal(by_size(counting({0}), {3})), ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::ops
