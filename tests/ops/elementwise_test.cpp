#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using ops::test::counting;
using ops::test::floats;
using ops::test::ints;
using ops::test::OneNode;
using ops::test::refusal;
using ops::test::values;

template <typename T>
Tensor vector_of(std::initializer_list<T> v) {
  return Tensor::of<T>({static_cast<std::int64_t>(v.size())}, v);
}

TEST(Arithmetic, BroadcastsBothWays) {
  const Tensor y = OneNode("Add", {counting({2, 1}), floats({3}, {10, 20, 30})}).result();
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(values(y), (std::vector<float>{10, 20, 30, 11, 21, 31}));
}

TEST(Arithmetic, AnEmptyOperandGivesAnEmptyResult) {
  EXPECT_EQ(OneNode("Mul", {counting({0, 3}), counting({1, 3})}).result().shape(), (Shape{0, 3}));
}

TEST(Arithmetic, IntegersWrapInsteadOfOverflowing) {
  EXPECT_TRUE(OneNode("Add", {ints({INT64_MAX}), ints({1})}).result().equals(ints({INT64_MIN})));
  EXPECT_TRUE(OneNode("Div", {ints({INT64_MIN}), ints({-1})}).result().equals(ints({INT64_MIN})));
  EXPECT_TRUE(OneNode("Mod", {ints({INT64_MIN}), ints({-1})}).result().equals(ints({0})));
}

TEST(Arithmetic, IntegerDivisionByZeroIsRefused) {
  EXPECT_EQ(refusal({"Div", {ints({1}), ints({0})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Mod", {ints({1}), ints({0})}}), ErrorCode::BadData);
}

TEST(Arithmetic, OperandsOfDifferentTypeAreMalformed) {
  EXPECT_EQ(refusal({"Add", {counting({2}), ints({1, 2})}}), ErrorCode::Malformed);
}

TEST(Arithmetic, BooleansAreNotNumbers) {
  const Tensor truth(DType::Bool, {2});
  EXPECT_EQ(refusal({"Add", {truth, truth}}), ErrorCode::Unsupported);
}

TEST(Mod, FloatsNeedTheirAttribute) {
  EXPECT_EQ(refusal({"Mod", {counting({2}), counting({2})}}), ErrorCode::Malformed);
}

TEST(Pow, ExponentOfAnotherType) {
  EXPECT_EQ(values(OneNode("Pow", {floats({3}, {2, 3, 4}), ints({3, 0, -1})}).result()),
            (std::vector<float>{8, 1, 0.25F}));
  EXPECT_TRUE(OneNode("Pow", {ints({2, -3}), ints({62, 3})})
                  .result()
                  .equals(ints({std::int64_t{1} << 62, -27})));
}

TEST(Clip, BoundsAreAttributesBeforeOpset11) {
  OneNode node("Clip", {floats({3}, {-1, 3, 9})}, {{"min", 0.0F}, {"max", 6.0F}});
  EXPECT_EQ(values(node.at(6).result()), (std::vector<float>{0, 3, 6}));
}

TEST(Clip, TheMaximumWinsOverAGreaterMinimum) {
  EXPECT_EQ(
      values(
          OneNode("Clip", {floats({1}, {1}), Tensor::scalar(5.0F), Tensor::scalar(2.0F)}).result()),
      (std::vector<float>{2}));
}

TEST(Clip, NotANumberStays) {
  const Tensor y =
      OneNode("Clip", {floats({1}, {NAN}), Tensor::scalar(0.0F), Tensor::scalar(6.0F)}).result();
  EXPECT_TRUE(std::isnan(values(y)[0]));
}

TEST(Clip, ABoundWithManyElementsIsMalformed) {
  EXPECT_EQ(refusal({"Clip", {counting({2}), counting({2})}}), ErrorCode::Malformed);
}

TEST(Activation, KnownValues) {
  const Tensor x = floats({3}, {-2, 0, 4});
  const auto expect = [&](OneNode node, std::vector<float> expected) {
    const auto actual = values(node.result());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 1e-6F) << node.op;
  };
  expect({"Swish", {x}}, {-0.2384058F, 0, 3.9280552F});
  expect({"Gelu", {x}}, {-0.04550028F, 0, 3.9998734F});
  expect({"Gelu", {x}, {{"approximate", std::string("tanh")}}}, {-0.04540229F, 0, 3.9999297F});
  expect({"Mish", {x}}, {-0.2525015F, 0, 3.9974129F});
  expect({"Softsign", {x}}, {-2.0F / 3, 0, 0.8F});
  expect({"Celu", {x}, {{"alpha", 2.0F}}}, {-1.2642411F, 0, 4});
  expect({"ThresholdedRelu", {x}, {{"alpha", 4.0F}}}, {0, 0, 0});
  expect({"HardSwish", {x}}, {-1.0F / 3, 0, 4});
}

TEST(Activation, GeluOfAnUnknownKindIsMalformed) {
  EXPECT_EQ(refusal({"Gelu", {counting({1})}, {{"approximate", std::string("erf")}}}),
            ErrorCode::Malformed);
}

TEST(Activation, SoftplusDoesNotOverflow) {
  EXPECT_EQ(values(OneNode("Softplus", {floats({2}, {1000, -1000})}).result()),
            (std::vector<float>{1000, 0}));
}

TEST(PRelu, TheSlopeIsBroadcastToTheDataOnly) {
  EXPECT_EQ(values(OneNode("PRelu", {floats({2, 1}, {-1, -2}), floats({2, 1}, {3, 5})}).result()),
            (std::vector<float>{-3, -10}));
  EXPECT_EQ(refusal({"PRelu", {counting({2, 1}), counting({2, 3})}}), ErrorCode::BadData);
}

TEST(Softmax, CoercesToTwoDimensionsBeforeOpset13) {
  const Tensor x(DType::Float32, {1, 2, 2});
  EXPECT_EQ(values(OneNode("Softmax", {x}).at(11).result()), (std::vector<float>(4, 0.25F)));
  EXPECT_EQ(values(OneNode("Softmax", {x}).at(13).result()), (std::vector<float>(4, 0.5F)));
}

TEST(Softmax, AnAxisOutsideTheRankIsMalformed) {
  EXPECT_EQ(refusal({"Softmax", {counting({2, 2})}, {{"axis", std::int64_t{2}}}}),
            ErrorCode::Malformed);
}

TEST(Logic, ConditionsAreBooleans) {
  EXPECT_EQ(refusal({"And", {ints({1}), ints({0})}}), ErrorCode::Malformed);
  EXPECT_EQ(refusal({"Where", {ints({1}), counting({1}), counting({1})}}), ErrorCode::Malformed);
}

TEST(Logic, WhereBroadcastsAllThree) {
  const Tensor condition = Tensor::of<bool>({2, 1}, {true, false});
  const Tensor y =
      OneNode("Where", {condition, floats({3}, {1, 2, 3}), Tensor::scalar(0.0F)}).result();
  EXPECT_EQ(values(y), (std::vector<float>{1, 2, 3, 0, 0, 0}));
}

TEST(Logic, NotANumberEqualsNothing) {
  const Tensor nan = floats({1}, {NAN});
  EXPECT_FALSE(OneNode("Equal", {nan, nan}).result().data<bool>()[0]);
}

TEST(Extremes, NotANumberWins) {
  EXPECT_TRUE(
      std::isnan(values(OneNode("Max", {floats({1}, {NAN}), floats({1}, {1})}).result())[0]));
  EXPECT_TRUE(
      std::isnan(values(OneNode("Min", {floats({1}, {1}), floats({1}, {NAN})}).result())[0]));
}

TEST(Cast, FloatsTruncateAndSaturate) {
  const Tensor x = floats({5}, {-1.9F, 1.9F, 300, -1e30F, NAN});
  const Tensor y = OneNode("Cast", {x}, {{"to", std::int64_t{3}}}).result();
  EXPECT_TRUE(y.equals(vector_of<std::int8_t>({-1, 1, 127, -128, 0})));
}

TEST(Cast, TruthIsAnythingButZero) {
  EXPECT_TRUE(OneNode("Cast", {floats({3}, {0, 0.5F, NAN})}, {{"to", std::int64_t{9}}})
                  .result()
                  .equals(vector_of<bool>({false, true, true})));
}

TEST(Cast, StringsAreRefused) {
  EXPECT_EQ(refusal({"Cast", {counting({1})}, {{"to", std::int64_t{8}}}}), ErrorCode::Unsupported);
}

TEST(Quantize, RoundsHalfToEvenAndSaturates) {
  const OneNode node("QuantizeLinear", {floats({4}, {1, 3, 1000, -1000}), Tensor::scalar(2.0F),
                                        Tensor::scalar(std::int8_t{1})});
  EXPECT_TRUE(node.result().equals(vector_of<std::int8_t>({1, 3, 127, -128})));
}

TEST(Quantize, BlocksAreRefused) {
  EXPECT_EQ(refusal({"QuantizeLinear",
                     {counting({4}), Tensor::scalar(1.0F)},
                     {{"block_size", std::int64_t{2}}}}),
            ErrorCode::Unsupported);
}

TEST(Dropout, PassesItsInputWithAMaskOfOnes) {
  const auto results =
      OneNode("Dropout", {counting({2})}, {{"ratio", 0.5F}}).at(7).with_outputs(2).run();
  EXPECT_EQ(values(results[0]), (std::vector<float>{0, 1}));
  EXPECT_EQ(values(results[1]), (std::vector<float>{1, 1})) << "of the data's type before opset 10";
}

TEST(Dropout, TrainingIsRefused) {
  EXPECT_EQ(refusal({"Dropout", {counting({2}), Tensor::scalar(0.5F), Tensor::scalar(true)}}),
            ErrorCode::Unsupported);
}

}  // namespace
}  // namespace espquant::ops
