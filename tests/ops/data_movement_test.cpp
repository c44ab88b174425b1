#include <gtest/gtest.h>

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

TEST(Reshape, RefusesTargetsThatDoNotFit) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(refusal({"Reshape", {x, ints({4, -1})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Reshape", {x, ints({-1, -1})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Reshape", {x, ints({-2, 3})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Reshape", {x, ints({7})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Reshape", {x, ints({2, 3, 0})}}), ErrorCode::Malformed)
      << "no such extent to copy";
  EXPECT_EQ(refusal({"Reshape", {x, ints({0, -1})}, {{"allowzero", std::int64_t{1}}}}),
            ErrorCode::BadData);
}

TEST(Reshape, OfNothing) {
  EXPECT_EQ(OneNode("Reshape", {counting({0, 3}), ints({3, 0})}, {{"allowzero", std::int64_t{1}}})
                .result()
                .shape(),
            (Shape{3, 0}));
}

TEST(Squeeze, AxesAreAttributesBeforeOpset13) {
  const OneNode node("Squeeze", {counting({1, 3, 1})}, {{"axes", Ints{-1}}});
  EXPECT_EQ(OneNode(node).at(11).result().shape(), (Shape{1, 3}));
}

TEST(Squeeze, RefusesWhatIsNotOne) {
  EXPECT_EQ(refusal({"Squeeze", {counting({1, 3}), ints({1})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Squeeze", {counting({1, 3}), ints({2})}}), ErrorCode::Malformed);
}

TEST(Unsqueeze, RefusesARepeatedAxis) {
  EXPECT_EQ(OneNode("Unsqueeze", {counting({3})}, {{"axes", Ints{0, 2}}}).at(11).result().shape(),
            (Shape{1, 3, 1}));
  EXPECT_EQ(refusal({"Unsqueeze", {counting({3}), ints({0, -3})}}), ErrorCode::Malformed);
}

TEST(Transpose, RefusesWhatIsNoPermutation) {
  for (const Ints& perm : {Ints{0}, Ints{0, 0}, Ints{0, 2}})
    EXPECT_EQ(refusal({"Transpose", {counting({2, 3})}, {{"perm", perm}}}), ErrorCode::Malformed);
}

TEST(Concat, RefusesShapesThatDiffer) {
  const OneNode sound("Concat", {counting({1, 2}), counting({3, 2})}, {{"axis", std::int64_t{0}}});
  EXPECT_EQ(sound.result().shape(), (Shape{4, 2}));
  EXPECT_EQ(refusal(OneNode(sound).set("axis", std::int64_t{1})), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Concat", {counting({1, 2}), ints({1, 2})}, {{"axis", std::int64_t{0}}}}),
            ErrorCode::Malformed);
  EXPECT_EQ(refusal({"Concat", {counting({2})}}), ErrorCode::Malformed) << "no axis";
}

TEST(Slice, ArgumentsAreAttributesBeforeOpset10) {
  const OneNode node("Slice", {counting({5})}, {{"starts", Ints{1}}, {"ends", Ints{INT64_MAX}}});
  EXPECT_EQ(values(OneNode(node).at(9).result()), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Slice, BackwardsToTheFirstElement) {
  const auto slice = [](std::int64_t start, std::int64_t end, std::int64_t step) {
    return values(
        OneNode("Slice", {counting({5}), ints({start}), ints({end}), ints({0}), ints({step})})
            .result());
  };
  EXPECT_EQ(slice(-1, INT64_MIN, -2), (std::vector<float>{4, 2, 0}));
  EXPECT_EQ(slice(10, 0, -3), (std::vector<float>{4, 1}));
  EXPECT_EQ(slice(3, INT64_MIN, INT64_MIN), (std::vector<float>{3}));
  EXPECT_EQ(slice(0, 5, INT64_MAX), (std::vector<float>{0}));
  EXPECT_TRUE(slice(2, 2, -1).empty());
}

TEST(Slice, RefusesAStepOfZero) {
  EXPECT_EQ(refusal({"Slice", {counting({5}), ints({0}), ints({5}), ints({0}), ints({0})}}),
            ErrorCode::Malformed);
  EXPECT_EQ(refusal({"Slice", {counting({5}), ints({0, 0}), ints({5})}}), ErrorCode::Malformed);
}

TEST(Split, TheLastPartIsShorterSinceOpset18) {
  OneNode node =
      OneNode("Split", {counting({5})}, {{"num_outputs", std::int64_t{2}}}).with_outputs(2);
  const auto parts = node.at(18).run();
  EXPECT_EQ(values(parts[0]), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(values(parts[1]), (std::vector<float>{3, 4}));
  EXPECT_EQ(refusal(node.at(13)), ErrorCode::BadData);
}

TEST(Split, PartsAreAnAttributeBeforeOpset13) {
  OneNode node = OneNode("Split", {counting({5})}, {{"split", Ints{4, 1}}}).with_outputs(2);
  EXPECT_EQ(values(node.at(11).run()[1]), (std::vector<float>{4}));
}

TEST(Split, RefusesPartsThatDoNotAddUp) {
  for (const Tensor& parts : {ints({2, 2}), ints({6, -1}), ints({5})})
    EXPECT_NE(refusal(OneNode("Split", {counting({5}), parts}).with_outputs(2)),
              ErrorCode::Internal);
}

TEST(Pad, ModesRepeatBeyondTheirPeriod) {
  const auto pad = [](const char* mode) {
    return values(OneNode("Pad", {counting({3}), ints({3, 4})}, {{"mode", std::string(mode)}})
                      .at(19)
                      .result());
  };
  EXPECT_EQ(pad("wrap"), (std::vector<float>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(pad("reflect"), (std::vector<float>{1, 2, 1, 0, 1, 2, 1, 0, 1, 2}));
  EXPECT_EQ(pad("edge"), (std::vector<float>{0, 0, 0, 0, 1, 2, 2, 2, 2, 2}));
}

TEST(Pad, OnSomeAxesOnly) {
  const Tensor y =
      OneNode("Pad", {counting({1, 2}), ints({1, 0}), Tensor::scalar(9.0F), ints({-1})})
          .at(18)
          .result();
  EXPECT_EQ(values(y), (std::vector<float>{9, 0, 1}));
}

TEST(Pad, NegativePadsCrop) {
  EXPECT_EQ(values(OneNode("Pad", {counting({4}), ints({-1, 1}), Tensor::scalar(9.0F)}).result()),
            (std::vector<float>{1, 2, 3, 9}));
}

TEST(Pad, ArgumentsAreAttributesBeforeOpset11) {
  EXPECT_EQ(
      values(
          OneNode("Pad", {counting({1})}, {{"pads", Ints{1, 0}}, {"value", 7.0F}}).at(10).result()),
      (std::vector<float>{7, 0}));
}

TEST(Pad, RefusesWhatDoesNotFit) {
  const Tensor x = counting({3});
  EXPECT_EQ(refusal({"Pad", {x, ints({1})}}), ErrorCode::Malformed);
  EXPECT_EQ(refusal({"Pad", {x, ints({-4, 0})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Pad", {x, ints({INT64_MAX, INT64_MAX})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Pad", {x, ints({0, 0})}, {{"mode", std::string("mirror")}}}),
            ErrorCode::Malformed);
  EXPECT_EQ(refusal({"Pad", {counting({0}), ints({1, 0})}, {{"mode", std::string("edge")}}}),
            ErrorCode::BadData);
}

TEST(Gather, RefusesIndicesOutside) {
  EXPECT_EQ(refusal({"Gather", {counting({3}), ints({3})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Gather", {counting({3}), ints({-4})}}), ErrorCode::BadData);
  EXPECT_EQ(refusal({"Gather", {counting({3}), counting({1})}}), ErrorCode::Malformed)
      << "float indices";
}

TEST(Gather, AScalarIndexRemovesTheAxis) {
  const Tensor y = OneNode("Gather", {counting({2, 3}), Tensor::scalar(std::int64_t{-1})},
                           {{"axis", std::int64_t{1}}})
                       .result();
  EXPECT_EQ(y.shape(), (Shape{2}));
  EXPECT_EQ(values(y), (std::vector<float>{2, 5}));
}

TEST(GatherND, RefusesTuplesThatAreTooLong) {
  EXPECT_EQ(refusal({"GatherND", {counting({2}), Tensor(DType::Int64, {1, 2})}}),
            ErrorCode::BadData);
}

TEST(Scatter, CombinesRepeatedIndices) {
  const auto scatter = [](const char* reduction) {
    return values(OneNode("ScatterElements",
                          {floats({2}, {1, 2}), ints({1, 1}), floats({2}, {3, 5})},
                          {{"reduction", std::string(reduction)}})
                      .at(18)
                      .result());
  };
  EXPECT_EQ(scatter("none"), (std::vector<float>{1, 5}));
  EXPECT_EQ(scatter("add"), (std::vector<float>{1, 10}));
  EXPECT_EQ(scatter("mul"), (std::vector<float>{1, 30}));
  EXPECT_EQ(scatter("max"), (std::vector<float>{1, 5}));
  EXPECT_EQ(scatter("min"), (std::vector<float>{1, 2}));
}

TEST(ScatterND, RefusesUpdatesOfAnotherShape) {
  EXPECT_EQ(
      refusal({"ScatterND", {counting({3, 2}), Tensor(DType::Int64, {1, 1}), counting({1, 3})}}),
      ErrorCode::Malformed);
}

TEST(Tile, RefusesANegativeCount) {
  EXPECT_EQ(refusal({"Tile", {counting({2}), ints({-1})}}), ErrorCode::Malformed);
  EXPECT_EQ(OneNode("Tile", {counting({2}), ints({0})}).result().shape(), (Shape{0}));
}

TEST(DepthToSpace, IsUndoneBySpaceToDepth) {
  const Tensor x = counting({1, 8, 2, 3});
  const Tensor wide = OneNode("DepthToSpace", {x}, {{"blocksize", std::int64_t{2}}}).result();
  EXPECT_EQ(wide.shape(), (Shape{1, 2, 4, 6}));
  EXPECT_TRUE(OneNode("SpaceToDepth", {wide}, {{"blocksize", std::int64_t{2}}}).result().equals(x));
}

TEST(DepthToSpace, RefusesChannelsThatFormNoBlocks) {
  EXPECT_EQ(refusal({"DepthToSpace", {counting({1, 3, 2, 2})}, {{"blocksize", std::int64_t{2}}}}),
            ErrorCode::BadData);
  EXPECT_EQ(refusal({"DepthToSpace", {counting({1, 4, 2, 2})}}), ErrorCode::Malformed)
      << "no block size";
}

TEST(InsertZeros, RefusesAStrideOfZero) {
  EXPECT_EQ(refusal({"InsertZeros", {counting({1, 1, 2})}, {{"stride", Ints{0}}}}),
            ErrorCode::Malformed);
}

TEST(ReverseSequence, RefusesLengthsBeyondTheSteps) {
  EXPECT_EQ(refusal({"ReverseSequence", {counting({3, 1}), ints({4})}}), ErrorCode::BadData);
  EXPECT_EQ(
      refusal({"ReverseSequence", {counting({3, 1}), ints({1})}, {{"time_axis", std::int64_t{1}}}}),
      ErrorCode::Malformed);
}

TEST(Trilu, KeepsATriangle) {
  const auto triangle = [](std::int64_t upper, std::initializer_list<std::int64_t> k) {
    OneNode node("Trilu", {counting({2, 3}), ints(k)}, {{"upper", upper}});
    return values(node.result());
  };
  EXPECT_EQ(triangle(1, {0}), (std::vector<float>{0, 1, 2, 0, 4, 5}));
  EXPECT_EQ(triangle(1, {1}), (std::vector<float>{0, 1, 2, 0, 0, 5}));
  EXPECT_EQ(triangle(0, {0}), (std::vector<float>{0, 0, 0, 3, 4, 0}));
  EXPECT_EQ(refusal({"Trilu", {counting({3})}}), ErrorCode::Malformed);
}

TEST(Range, RefusesEndlessOnes) {
  const auto range = [](float start, float limit, float delta) {
    return OneNode("Range", {Tensor::scalar(start), Tensor::scalar(limit), Tensor::scalar(delta)});
  };
  EXPECT_EQ(values(range(3, 0, -2).result()), (std::vector<float>{3, 1}));
  EXPECT_TRUE(values(range(3, 0, 1).result()).empty());
  EXPECT_EQ(refusal(range(0, 1, 0)), ErrorCode::Malformed);
  EXPECT_EQ(refusal(range(0, 1e30F, 1e-3F)), ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::ops
