#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using ops::test::counting;
using ops::test::floats;
using ops::test::Ints;
using ops::test::ints;
using ops::test::OneNode;
using ops::test::refusal;
using ops::test::values;

TEST(Reduce, AxesAsAttributeOrInput) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(values(OneNode("ReduceSum", {x}, {{"axes", Ints{1}}}).at(11).result()),
            (std::vector<float>{3, 12}));
  EXPECT_EQ(values(OneNode("ReduceSum", {x, ints({1})}).at(13).result()),
            (std::vector<float>{3, 12}));
  EXPECT_EQ(values(OneNode("ReduceMean", {x}, {{"axes", Ints{-1}}}).at(13).result()),
            (std::vector<float>{1, 4}));
  EXPECT_EQ(values(OneNode("ReduceMean", {x, ints({-1})}).at(18).result()),
            (std::vector<float>{1, 4}));
}

TEST(Reduce, WithoutAxesOverEverything) {
  const Tensor y =
      OneNode("ReduceMax", {counting({2, 3})}, {{"keepdims", std::int64_t{0}}}).result();
  EXPECT_EQ(y.shape(), Shape());
  EXPECT_EQ(values(y), (std::vector<float>{5}));
}

TEST(Reduce, WithoutAxesOverNothingWhenAskedTo) {
  const Tensor x = counting({2, 3});
  EXPECT_TRUE(OneNode("ReduceMean", {x}, {{"noop_with_empty_axes", std::int64_t{1}}})
                  .at(18)
                  .result()
                  .equals(x));
}

TEST(Reduce, LogSumExpDoesNotOverflow) {
  EXPECT_NEAR(values(OneNode("ReduceLogSumExp", {floats({2}, {1000, 1000})}).result())[0],
              1000 + std::log(2.0), 1e-3);
}

TEST(Reduce, IntegersStayIntegers) {
  EXPECT_TRUE(OneNode("ReduceProd", {ints({3, 4})}, {{"keepdims", std::int64_t{0}}})
                  .result()
                  .equals(Tensor::scalar(std::int64_t{12})));
}

TEST(Reduce, OverNoElements) {
  const Tensor empty = counting({2, 0});
  EXPECT_EQ(values(OneNode("ReduceSum", {empty, ints({1})}).result()), (std::vector<float>{0, 0}));
  EXPECT_EQ(values(OneNode("ReduceProd", {empty, ints({1})}).at(18).result()),
            (std::vector<float>{1, 1}));
  EXPECT_EQ(refusal(OneNode("ReduceMax", {empty, ints({1})}).at(18)), ErrorCode::BadData);
}

TEST(Reduce, RefusesAxesOutsideAndTwice) {
  EXPECT_EQ(refusal({"ReduceSum", {counting({2}), ints({1})}}), ErrorCode::Malformed);
  EXPECT_EQ(refusal({"ReduceSum", {counting({2, 2}), ints({1, -1})}}), ErrorCode::Malformed);
}

TEST(ArgMin, TakesTheFirstOrTheLast) {
  OneNode node("ArgMin", {floats({3}, {1, 0, 0})});
  EXPECT_TRUE(node.result().equals(ints({1})));
  EXPECT_TRUE(node.set("select_last_index", std::int64_t{1}).result().equals(ints({2})));
  EXPECT_EQ(refusal({"ArgMin", {counting({0})}}), ErrorCode::BadData);
}

TEST(LpNormalization, OfOrderOneAndTwo) {
  const Tensor x = floats({2, 2}, {3, -4, 0, 0});
  EXPECT_EQ(values(OneNode("LpNormalization", {x}).result()),
            (std::vector<float>{0.6F, -0.8F, 0, 0}));
  EXPECT_EQ(
      values(OneNode("LpNormalization", {floats({2}, {1, -3})}, {{"p", std::int64_t{1}}}).result()),
      (std::vector<float>{0.25F, -0.75F}));
  EXPECT_EQ(refusal({"LpNormalization", {x}, {{"p", std::int64_t{3}}}}), ErrorCode::Malformed);
}

TEST(RMSNormalization, DividesByTheRootMeanSquare) {
  const Tensor y = OneNode("RMSNormalization", {floats({1, 2}, {1, 7}), floats({2}, {1, 2})},
                           {{"epsilon", 0.0F}})
                       .result();
  EXPECT_FLOAT_EQ(values(y)[0], 0.2F);
  EXPECT_FLOAT_EQ(values(y)[1], 2.8F);
}

TEST(LayerNormalization, RefusesAScaleThatIsTooLarge) {
  EXPECT_EQ(refusal({"LayerNormalization", {counting({2, 3}), counting({2, 3})}}),
            ErrorCode::BadData);
}

TEST(BatchNormalization, RefusesStatisticsOfOtherChannels) {
  const Tensor c = counting({3});
  EXPECT_EQ(refusal({"BatchNormalization", {counting({1, 2, 4}), c, c, c, c}}),
            ErrorCode::Malformed);
}

TEST(MatMul, VectorsLoseTheirAxis) {
  EXPECT_EQ(values(OneNode("MatMul", {counting({2}), counting({2, 3})}).result()),
            (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(OneNode("MatMul", {counting({4, 2, 3}), counting({3})}).result().shape(),
            (Shape{4, 2}));
  EXPECT_EQ(OneNode("MatMul", {counting({3}), counting({3})}).result().shape(), Shape());
}

TEST(MatMul, RefusesExtentsThatDiffer) {
  EXPECT_EQ(refusal({"MatMul", {counting({2, 3}), counting({2, 3})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"MatMul", {Tensor::scalar(1.0F), counting({1})}}), ErrorCode::Malformed);
}

TEST(Gemm, RefusesABiasThatWouldEnlargeTheResult) {
  EXPECT_EQ(refusal({"Gemm", {counting({1, 3}), counting({3, 2}), counting({4, 2})}}),
            ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::ops
