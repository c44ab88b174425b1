#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

TEST(Requantize, OnlyTheOperandOfAnotherExponentIsConverted) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 8}, -4);
  const ValueId b = net.input("b", {1, 8}, -6);
  const auto model = test::lowered(net.finish({net.node("Add", {a, b}, {}, -4)}));
  ASSERT_EQ(test::operators_of(model), (std::vector<std::string>{"RequantizeLinear", "Add"}));
  EXPECT_EQ(model.nodes[0].inputs[0], "b");
  EXPECT_EQ(test::value_of(model, model.nodes[0].outputs[0]).exponent(), -4);
  EXPECT_EQ(model.nodes[1].inputs, (std::vector<std::string>{"a", model.nodes[0].outputs[0]}));
}

TEST(Requantize, ReadersOfTheSameExponentShareTheResult) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 8}, -4);
  const ValueId b = net.input("b", {1, 8}, -6);
  const auto model =
      test::lowered(net.finish({net.node("Add", {a, b}, {}, -4), net.node("Sub", {a, b}, {}, -4)}));
  EXPECT_EQ(test::operators_of(model),
            (std::vector<std::string>{"RequantizeLinear", "Add", "Sub"}));
}

TEST(Requantize, ACopyHasThreeInputsLikeTheOthers) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, -4);
  const auto model = test::lowered(net.finish({net.node("Identity", {x}, {}, -4)}));
  ASSERT_EQ(test::operators_of(model), std::vector<std::string>{"RequantizeLinear"});
  EXPECT_EQ(model.nodes[0].inputs.size(), 3U);
}

TEST(Requantize, MulTakesItsOperandsAsTheyAre) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 8}, -4);
  const ValueId b = net.input("b", {1, 8}, -6);
  const auto model = test::lowered(net.finish({net.node("Mul", {a, b}, {}, -3)}));
  EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"Mul"});
}

TEST(Requantize, AConstantOperandIsStoredAtTheResultsExponent) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 2}, -4);
  const ValueId c = net.constant(Tensor::of<float>({2}, {1, -2}), -6);
  const auto model = test::lowered(net.finish({net.node("Add", {a, c}, {}, -4)}));
  const auto& stored = test::constant_of(model, test::the_node(model, "Add"), 1);
  EXPECT_EQ(stored.exponent(), -4);
  EXPECT_EQ(test::elements_of<std::int8_t>(stored.data), (std::vector<std::int8_t>{16, -32}));
}

TEST(Requantize, TheS3WidensFirstWhereItWouldLoseTheLastElements) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 56}, -4);
  const ValueId filter = net.constant(Tensor(DType::Float32, {56, 2}), -10, 16);
  Graph graph = net.finish({net.node("Gemm", {x, filter}, {}, -8, 16)});
  graph.value(x).requant = TensorQuant{16, {-11}, -1};
  const auto model = test::lowered(graph);
  ASSERT_EQ(test::operators_of(model),
            (std::vector<std::string>{"RequantizeLinear", "RequantizeLinear", "Gemm"}));
  const auto& widened = test::value_of(model, model.nodes[0].outputs[0]);
  EXPECT_EQ(widened.dtype, DType::Int16);
  EXPECT_EQ(widened.exponent(), -4);
  EXPECT_EQ(test::value_of(model, model.nodes[1].outputs[0]).exponent(), -11);
}

TEST(Requantize, WhatCrossesBetweenWidthsIsConvertedToTheReadersForm) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 2, 4, 4}, -4);
  const ValueId filter = net.constant(Tensor(DType::Float32, {2, 2, 1, 1}), -10, 16);
  Graph graph = net.finish({net.node("Conv", {x, filter}, {}, -8, 16)});
  graph.value(x).requant = TensorQuant{16, {-11}, -1};
  const auto model = test::lowered(graph);
  ASSERT_EQ(test::operators_of(model), (std::vector<std::string>{"RequantizeLinear", "Conv"}));
  const auto& wide = test::value_of(model, model.nodes[0].outputs[0]);
  EXPECT_EQ(wide.dtype, DType::Int16);
  EXPECT_EQ(wide.exponent(), -11);
  EXPECT_EQ(test::value_of(model, "x").dtype, DType::Int8);
}

TEST(Requantize, WhatFollowsASoftmaxIsQuantizedAgain) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, -4);
  const ValueId soft = net.node("Softmax", {x}, {}, -7);
  const auto model =
      test::lowered(net.finish({net.node("Mul", {soft, net.input("y", {1, 8}, -4)}, {}, -7)}));
  EXPECT_EQ(test::operators_of(model),
            (std::vector<std::string>{"Softmax", "QuantizeLinear", "Mul"}));
  EXPECT_EQ(test::value_of(model, model.nodes[0].outputs[0]).dtype, DType::Float32);
  EXPECT_EQ(test::value_of(model, model.nodes[1].outputs[0]).exponent(), -7);
}

TEST(Requantize, MulRefusesALeftShift) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 8}, -4);
  const Graph graph = net.finish({net.node("Mul", {a, a}, {}, -9)});
  const auto error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Mul");
  EXPECT_FALSE(error.remedy().empty());
}

}  // namespace
}  // namespace espquant::lower
