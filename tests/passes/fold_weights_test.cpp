#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::AttributeList;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

ValueId batch_normalization(Network& n, ValueId x, std::int64_t channels) {
  return n.node("BatchNormalization",
                {x, n.random({channels}), n.random({channels}), n.random({channels}),
                 n.random({channels}, 0.1F, 2)},
                {{"epsilon", 1e-3F}});
}

TEST(FoldBatchNormalization, IntoTheWeightsBefore) {
  struct Case {
    const char* op;
    Shape input, weights;
    bool bias;
    AttributeList attributes;
  };
  const std::vector<Case> cases = {
      {"Conv", {1, 4, 5, 5}, {6, 2, 3, 3}, true, {{"group", std::int64_t{2}}}},
      {"Conv", {1, 4, 7}, {6, 4, 3}, false, {}},
      {"ConvTranspose", {1, 4, 3, 3}, {4, 3, 2, 2}, true, {{"group", std::int64_t{2}}}},
      {"ConvTranspose", {1, 4, 3, 3}, {4, 6, 2, 2}, false, {}},
      {"Gemm", {2, 5}, {5, 6}, true, {}},
      {"Gemm", {2, 5}, {6, 5}, false, {{"transB", std::int64_t{1}}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.op) + " " + to_string(c.weights));
    Network n;
    std::vector<ValueId> inputs = {n.input("x", c.input), n.random(c.weights)};
    if (c.bias) inputs.push_back(n.random({6}));
    const ValueId y = n.node(c.op, inputs, c.attributes);
    const Graph graph =
        after_pass(fold_batch_normalization, n.finish({batch_normalization(n, y, 6)}));
    EXPECT_EQ(operators_of(graph), Operators{c.op});
  }
}

TEST(FoldBatchNormalization, SharedWeightsAreCopied) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 4}), w = n.random({2, 2, 1, 1});
  const ValueId a = n.node("Conv", {x, w}), b = n.node("Conv", {x, w});
  const Graph graph =
      after_pass(fold_batch_normalization,
                 n.finish({batch_normalization(n, a, 2), batch_normalization(n, b, 2)}));
  EXPECT_EQ(operators_of(graph), (Operators{"Conv", "Conv"}));
}

TEST(FoldBatchNormalization, NotThroughAValueThatOthersRead) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  const Graph graph = after_pass(fold_batch_normalization,
                                 n.finish({batch_normalization(n, y, 2), n.node("Relu", {y})}));
  EXPECT_EQ(operators_of(graph), (Operators{"Conv", "Conv", "Relu"}));
}

TEST(FoldBatchNormalization, NotThroughAnOutputOfTheNetwork) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  const Graph graph =
      after_pass(fold_batch_normalization, n.finish({y, batch_normalization(n, y, 2)}));
  EXPECT_EQ(operators_of(graph), (Operators{"Conv", "Conv"}));
}

TEST(FoldBatchNormalization, IntoTheGemmBehind) {
  for (const std::int64_t trans_b : {0, 1}) {
    Network n;
    const ValueId x = n.input("x", {2, 5});
    const ValueId w = n.random(trans_b ? Shape{3, 5} : Shape{5, 3});
    const ValueId y =
        n.node("Gemm", {batch_normalization(n, x, 5), w, n.random({3})}, {{"transB", trans_b}});
    EXPECT_EQ(operators_of(after_pass(fold_batch_normalization, n.finish({y}))), Operators{"Gemm"});
  }
}

TEST(FoldBatchNormalization, AloneItBecomesAnOperatorOfItsRank) {
  const std::vector<std::pair<Shape, Operators>> cases = {
      {{2, 3}, {"Mul", "Add"}}, {{1, 3, 5}, {"Conv"}}, {{1, 3, 5, 4}, {"Conv"}}};
  for (const auto& [shape, expected] : cases) {
    Network n;
    const ValueId x = n.input("x", shape);
    const Graph graph =
        after_pass(fold_batch_normalization, n.finish({batch_normalization(n, x, 3)}));
    EXPECT_EQ(operators_of(graph), expected);
  }
}

TEST(FoldBatchNormalization, TrainingModeIsLeftAlone) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const ValueId y =
      n.nodes("BatchNormalization",
              {x, n.random({3}), n.random({3}), n.random({3}), n.random({3}, 0.1F, 2)},
              {{"training_mode", std::int64_t{1}}}, 3)[0];
  expect_untouched(fold_batch_normalization, n.finish({y}));
}

struct Step {
  const char* name;
  const char* op;
  Shape constant;
  bool constant_first;
};
void PrintTo(const Step& s, std::ostream* out) { *out << s.name; }

class MergesBiasAdd : public testing::TestWithParam<Step> {};
TEST_P(MergesBiasAdd, IntoAConvolution) {
  const Step& s = GetParam();
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 5});
  const ValueId y = n.node("Conv", {x, n.random({3, 2, 2, 2}), n.random({3})});
  const ValueId c = n.random(s.constant, 0.5F, 2);
  const ValueId z = s.constant_first ? n.node(s.op, {c, y}) : n.node(s.op, {y, c});
  EXPECT_EQ(operators_of(after_pass(merge_bias_add, n.finish({z}))), Operators{"Conv"});
}

INSTANTIATE_TEST_SUITE_P(Of, MergesBiasAdd,
                         testing::Values(Step{"Add", "Add", {1, 3, 1, 1}, false},
                                         Step{"AddOfThreeAxes", "Add", {3, 1, 1}, true},
                                         Step{"AddOfAScalar", "Add", {}, false},
                                         Step{"Sub", "Sub", {3, 1, 1}, false},
                                         Step{"SubFromConstant", "Sub", {3, 1, 1}, true},
                                         Step{"Mul", "Mul", {1, 3, 1, 1}, true},
                                         Step{"Div", "Div", {1, 3, 1, 1}, false}),
                         [](const testing::TestParamInfo<Step>& s) { return s.param.name; });

class KeepsArithmetic : public testing::TestWithParam<Step> {};
TEST_P(KeepsArithmetic, ThatIsNotPerChannel) {
  const Step& s = GetParam();
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const ValueId y = n.node("Conv", {x, n.random({3, 2, 2, 2}), n.random({3})});
  const ValueId c = n.random(s.constant, 0.5F, 2);
  expect_untouched(merge_bias_add,
                   n.finish({s.constant_first ? n.node(s.op, {c, y}) : n.node(s.op, {y, c})}));
}

INSTANTIATE_TEST_SUITE_P(Of, KeepsArithmetic,
                         testing::Values(Step{"AddAlongTheLastAxis", "Add", {3}, false},
                                         Step{"AddPerElement", "Add", {1, 3, 3, 3}, false},
                                         Step{"AddThatBroadcasts", "Add", {2, 3, 1, 1}, false},
                                         Step{"AddOfHigherRank", "Add", {1, 1, 3, 1, 1}, false},
                                         Step{"DivOfAConstant", "Div", {1, 3, 1, 1}, true}),
                         [](const testing::TestParamInfo<Step>& s) { return s.param.name; });

TEST(MergeBiasAdd, IntoGemmAndConvTranspose) {
  Network n;
  const ValueId x = n.input("x", {2, 3}), t = n.input("t", {1, 4, 3, 3});
  const ValueId gemm = n.node("Add", {n.node("Gemm", {x, n.random({3, 4})}), n.random({4})});
  const ValueId transposed =
      n.node("ConvTranspose", {t, n.random({4, 1, 2, 2})}, {{"group", std::int64_t{2}}});
  const ValueId scaled = n.node("Mul", {transposed, n.random({2, 1, 1})});
  const Graph graph = after_pass(merge_bias_add, n.finish({gemm, scaled}));
  EXPECT_EQ(operators_of(graph), (Operators{"Gemm", "ConvTranspose"}));
}

TEST(MergeBiasAdd, AChainIsMergedWhole) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 3});
  ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  y = n.node("Mul", {y, n.random({2, 1, 1})});
  y = n.node("Add", {y, n.random({2, 1, 1})});
  EXPECT_EQ(operators_of(after_pass(merge_bias_add, n.finish({y}))), Operators{"Conv"});
}

TEST(MergeBiasAdd, DivisionByZeroStays) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 3});
  const ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  expect_untouched(merge_bias_add, n.finish({n.node("Div", {y, n.floats({2, 1, 1}, {1, 0})})}));
}

TEST(MergeBiasAdd, AValueThatOthersReadStays) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 3});
  const ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  expect_untouched(merge_bias_add,
                   n.finish({n.node("Add", {y, n.random({2, 1, 1})}), n.node("Relu", {y})}));
}

TEST(MergeBiasAdd, TheNameOfAnOutputSurvives) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 3});
  const ValueId y = n.node("Conv", {x, n.random({2, 2, 1, 1})});
  const Graph before = n.finish({n.node("Add", {y, n.random({2, 1, 1})})});
  EXPECT_EQ(after_pass(merge_bias_add, before).value(before.outputs()[0]).name, "Add_out");
}

TEST(MergePads, IntoConvolutionAndAverage) {
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const ValueId padded = n.node("Pad", {x, n.ints({0, 0, 1, 0, 0, 0, 0, 2})});
  const ValueId conv =
      n.node("Conv", {padded, n.random({2, 2, 4, 4})}, {{"pads", Ints{1, 1, 1, 1}}});
  const ValueId padded_again = n.node("Pad", {conv, n.ints({0, 0, 1, 1, 0, 0, 1, 1}), n.scalar(0)});
  const ValueId mean = n.node("AveragePool", {padded_again}, {{"kernel_shape", Ints{3, 3}}});
  const Graph graph = after_pass(merge_pads, n.finish({mean}));
  EXPECT_EQ(operators_of(graph), (Operators{"Conv", "AveragePool"}));
  EXPECT_EQ(the_node(graph, "Conv").attributes.get_ints("pads"), (Ints{2, 1, 1, 3}));
}

TEST(MergePads, IntoAMaximumOfWhatIsNotNegative) {
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const ValueId padded = n.node("Pad", {n.node("Relu", {x}), n.ints({0, 0, 1, 1, 0, 0, 1, 1})});
  const ValueId y =
      n.node("MaxPool", {padded}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}});
  EXPECT_EQ(operators_of(after_pass(merge_pads, n.finish({y}))), (Operators{"Relu", "MaxPool"}));
}

TEST(MergePads, WhatOnlySaysNothingIntoAnyMaximum) {
  for (const float nothing : {-INFINITY, std::numeric_limits<float>::lowest(), -1e9F}) {
    Network n;
    const ValueId x = n.input("x", {1, 2, 7, 7});
    const ValueId padded = n.node("Pad", {x, n.ints({0, 0, 1, 0, 0, 0, 1, 1}), n.scalar(nothing)});
    const ValueId pooled =
        n.node("MaxPool", {padded},
               {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{0, 1, 0, 1}}});
    const Graph graph = after_pass(merge_pads, n.finish({pooled}));
    EXPECT_EQ(operators_of(graph), (Operators{"MaxPool"}));
    EXPECT_EQ(the_node(graph, "MaxPool").attributes.get_ints("pads"), (Ints{1, 1, 1, 2}));
  }
}

TEST(MergePads, OthersStay) {
  const Ints around = {0, 0, 1, 1, 0, 0, 1, 1};
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 6, 6}), w = n.random({2, 2, 2, 2});
  const auto pool = [&](const char* op, ValueId v, AttributeList attributes) {
    return n.node(op, {v}, attributes);
  };
  const ValueId of_ones = n.node("Conv", {n.node("Pad", {x, n.ints(around), n.scalar(1)}), w});
  const ValueId reflected =
      n.node("Conv", {n.node("Pad", {x, n.ints(around)}, {{"mode", std::string("reflect")}}), w});
  const ValueId cropped =
      n.node("Conv", {n.node("Pad", {x, n.ints({0, 0, -1, 0, 0, 0, 0, 0})}), w});
  const ValueId of_channels = n.node(
      "Conv", {n.node("Pad", {x, n.ints({0, 1, 1, 1, 0, 0, 1, 1})}), n.random({2, 3, 2, 2})});
  const ValueId maximum =
      pool("MaxPool", n.node("Pad", {x, n.ints(around)}), {{"kernel_shape", Ints{3, 3}}});
  const ValueId empty_windows =
      pool("MaxPool", n.node("Pad", {n.node("Relu", {x}), n.ints(around)}),
           {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{2, 2}}});
  const ValueId wider_than_the_window =
      pool("AveragePool", n.node("Pad", {x, n.ints({0, 0, 0, 0, 0, 0, 0, 2})}),
           {{"kernel_shape", Ints{2, 2}}});
  const ValueId excluding = pool("AveragePool", n.node("Pad", {x, n.ints(around)}),
                                 {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  const ValueId shared = n.node("Pad", {x, n.ints(around)});
  expect_untouched(merge_pads, n.finish({of_ones, reflected, cropped, of_channels, maximum,
                                         empty_windows, excluding, wider_than_the_window,
                                         n.node("Conv", {shared, w}), n.node("Relu", {shared})}));
}

struct Transposed {
  const char* name;
  Shape input, weights;
  AttributeList attributes;
  bool zeros;
};

TEST(DecomposeConvTranspose, IsExactForEveryAttribute) {
  const std::vector<Transposed> cases = {
      {"plain", {1, 2, 3, 4}, {2, 3, 3, 3}, {}, false},
      {"strides", {1, 2, 3, 4}, {2, 3, 3, 2}, {{"strides", Ints{2, 3}}}, true},
      {"one stride", {1, 2, 3, 4}, {2, 3, 3, 2}, {{"strides", Ints{1, 3}}}, true},
      {"pads",
       {1, 2, 3, 4},
       {2, 3, 3, 3},
       {{"strides", Ints{2, 2}}, {"pads", Ints{1, 0, 2, 1}}},
       true},
      {"dilations",
       {1, 2, 3, 4},
       {2, 3, 3, 2},
       {{"strides", Ints{2, 2}}, {"dilations", Ints{2, 3}}, {"pads", Ints{3, 1, 2, 0}}},
       true},
      {"output padding",
       {1, 2, 3, 4},
       {2, 3, 3, 3},
       {{"strides", Ints{2, 3}}, {"output_padding", Ints{1, 2}}, {"pads", Ints{1, 1, 1, 1}}},
       true},
      {"output padding without strides",
       {1, 2, 3, 4},
       {2, 3, 3, 3},
       {{"dilations", Ints{2, 2}}, {"output_padding", Ints{1, 1}}, {"pads", Ints{1, 1, 1, 1}}},
       false},
      {"groups",
       {1, 4, 3, 4},
       {4, 3, 2, 3},
       {{"strides", Ints{2, 2}}, {"group", std::int64_t{2}}},
       true},
      {"depthwise",
       {1, 4, 3, 4},
       {4, 1, 2, 3},
       {{"strides", Ints{2, 2}}, {"group", std::int64_t{4}}},
       true},
      {"pads beyond the kernel",
       {1, 2, 4, 4},
       {2, 3, 2, 2},
       {{"strides", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 3}}},
       true},
      {"one axis",
       {1, 2, 5},
       {2, 3, 3},
       {{"strides", Ints{2}}, {"pads", Ints{1, 0}}, {"output_padding", Ints{1}}},
       true},
  };
  for (const Transposed& c : cases) {
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(c.name);
      Network n(18);
      std::vector<ValueId> inputs = {n.input("x", c.input), n.random(c.weights)};
      const std::int64_t groups = test::attributes_of(c.attributes).get_int("group", 1);
      if (bias) inputs.push_back(n.random({c.weights[1] * groups}));
      const Graph graph = after_pass(decompose_conv_transpose,
                                     n.finish({n.node("ConvTranspose", inputs, c.attributes)}));
      const Operators ops = operators_of(graph);
      EXPECT_EQ(ops.back(), "Conv");
      EXPECT_EQ(ops.front() == "InsertZeros", c.zeros);
    }
  }
}

}  // namespace
}  // namespace espquant::passes
