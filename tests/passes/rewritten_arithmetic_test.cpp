#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

/// Rewrites of operators that the runtime lacks into others that it has.
namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

Graph einsum(const std::string& equation, const std::vector<Shape>& shapes) {
  Network n;
  std::vector<ValueId> operands;
  for (const Shape& shape : shapes)
    operands.push_back(n.input(std::string(1, static_cast<char>('a' + operands.size())), shape));
  return n.finish({n.node("Einsum", operands, {{"equation", equation}})});
}

TEST(ExpandEinsum, TheUsualForms) {
  const std::vector<std::pair<std::string, std::vector<Shape>>> kForms = {
      {"bij,bik->bjk", {{2, 3, 4}, {2, 3, 5}}},
      {"bhid,bhjd->bhij", {{1, 2, 3, 4}, {1, 2, 5, 4}}},
      {"bthd,bshd->bhts", {{1, 3, 2, 4}, {1, 5, 2, 4}}},
      {"ij,jk", {{2, 3}, {3, 4}}},
      {"i,j->ij", {{2}, {3}}},
      {"i,i->", {{4}, {4}}},
      {"bi,bi->b", {{2, 3}, {2, 3}}},
      {"bi,bi->bi", {{2, 3}, {2, 3}}},
      {"bct,c->bct", {{1, 3, 4}, {3}}},
      {"ijk->kji", {{2, 3, 4}}},
      {"ijk->j", {{2, 3, 4}}},
      {"...ij,...jk->...ik", {{2, 2, 3, 4}, {2, 2, 4, 3}}},
      {"...i,i->...", {{2, 3, 4}, {4}}},
      {"ab,bc,cd->ad", {{2, 3}, {3, 4}, {4, 2}}},
      {"bik,bjk,k->bij", {{1, 2, 3}, {1, 4, 3}, {3}}},
  };
  for (const auto& [equation, shapes] : kForms) {
    SCOPED_TRACE(equation);
    const Graph graph = after_pass(expand_einsum, einsum(equation, shapes), 1e-5);
    for (const std::string& op : operators_of(graph)) EXPECT_NE(op, "Einsum");
  }
}

TEST(ExpandEinsum, AConstantComesSecond) {
  Network n;
  const ValueId w = n.random({4, 3}), x = n.input("x", {2, 4});
  const ValueId y = n.node("Einsum", {w, x}, {{"equation", std::string("ij,bi->bj")}});
  const Graph graph = after_pass(expand_einsum, n.finish({y}), 1e-5);
  EXPECT_TRUE(graph.value(the_node(graph, "MatMul").inputs.at(1)).is_constant());
}

TEST(ExpandEinsum, DiagonalsStay) { expect_untouched(expand_einsum, einsum("ii->i", {{3, 3}})); }

TEST(MatmulOfBatch, OfOneMatrixIsALayer) {
  const std::vector<std::pair<Shape, Shape>> kShapes = {
      {{2, 2, 4}, {1, 4, 5}}, {{2, 4}, {1, 1, 4, 5}}, {{3, 1, 2, 4}, {1, 4, 5}}};
  for (const auto& [x, w] : kShapes) {
    SCOPED_TRACE(to_string(x) + " " + to_string(w));
    Network n;
    const ValueId y = n.node("MatMul", {n.input("x", x), n.random(w)});
    const Graph graph = after_pass(matmul_of_batch, n.finish({y}), 1e-5);
    EXPECT_EQ(graph.value(the_node(graph, "MatMul").inputs[1]).shape, (Shape{4, 5}));
  }
}

TEST(MatmulOfBatch, SeveralMatricesStay) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 2, 4});
  expect_untouched(matmul_of_batch, n.finish({n.node("MatMul", {x, n.random({3, 4, 5})})}));
}

TEST(WhereBySign, IsALeakyRelu) {
  const auto made = [](const std::string& op, bool constant_first, bool swap, const Shape& slope) {
    Network n;
    const ValueId x = n.input("x", {1, 3, 2, 2}), zero = n.scalar(0);
    const ValueId test = n.node(op, constant_first ? std::vector{zero, x} : std::vector{x, zero});
    const ValueId scaled = n.node("Mul", {n.random(slope), x});
    const ValueId y = n.node("Where", {test, swap ? scaled : x, swap ? x : scaled});
    return after_pass(where_by_sign, n.finish({y}));
  };
  EXPECT_EQ(operators_of(made("Greater", false, false, {1})), Operators{"LeakyRelu"});
  EXPECT_EQ(operators_of(made("LessOrEqual", false, true, {})), Operators{"LeakyRelu"});
  EXPECT_EQ(operators_of(made("Less", true, false, {1})), Operators{"LeakyRelu"});
  EXPECT_EQ(operators_of(made("GreaterOrEqual", false, false, {3, 1, 1})), Operators{"PRelu"});
}

TEST(WhereBySign, ZeroIsAReluAndMinusOneAnAbsoluteValue) {
  Network n;
  const ValueId x = n.input("x", {1, 6}), zero = n.scalar(0);
  const ValueId test = n.node("Greater", {x, zero});
  const ValueId relu = n.node("Where", {test, x, zero});
  const ValueId absolute = n.node("Where", {test, x, n.node("Neg", {x})});
  const Graph graph = after_pass(where_by_sign, n.finish({relu, absolute}));
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "LeakyRelu"}));
}

TEST(WhereBySign, OtherChoicesStay) {
  Network n;
  const ValueId x = n.input("x", {1, 6}), other = n.input("other", {1, 6});
  const ValueId half = n.node("Greater", {x, n.scalar(0.5)}),
                sign = n.node("Greater", {x, n.scalar(0)});
  const ValueId slope = n.scalar(0.1F);
  expect_untouched(where_by_sign,
                   n.finish({n.node("Where", {half, x, n.node("Mul", {x, slope})}),
                             n.node("Where", {sign, other, n.node("Mul", {x, slope})}),
                             n.node("Where", {sign, n.node("Mul", {x, slope}), x})}));
}

TEST(MatmulWithVector, OfAConstant) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 4}), u = n.input("u", {3}), v = n.input("v", {4});
  const Graph graph = after_pass(
      matmul_with_vector,
      n.finish({n.node("MatMul", {x, n.random({4})}), n.node("MatMul", {u, n.random({3, 5})}),
                n.node("MatMul", {n.random({5, 4}), v}), n.node("MatMul", {v, v})}),
      1e-5);
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (node.op != "MatMul") continue;
    for (const ValueId operand : node.inputs) EXPECT_GE(graph.value(operand).shape->size(), 2U);
  }
}

TEST(MatmulWithVector, OfActivationsStays) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 4}), u = n.input("u", {3}), v = n.input("v", {4});
  expect_untouched(matmul_with_vector, n.finish({n.node("MatMul", {x, v}), n.node("MatMul", {u, x}),
                                                 n.node("MatMul", {v, n.random({2, 4, 5})})}));
}

TEST(MultiplyTriangles, TriluIsAMask) {
  for (const std::int64_t upper : {0, 1})
    for (const std::int64_t diagonal : {-1, 0, 2}) {
      Network n;
      const ValueId x = n.input("x", {2, 3, 4});
      const Graph graph =
          after_pass(multiply_triangles,
                     n.finish({n.node("Trilu", {x, n.ints({diagonal})}, {{"upper", upper}})}));
      EXPECT_EQ(operators_of(graph), Operators{"Mul"});
    }
}

TEST(MultiplyTriangles, CumSumIsAMatrixProduct) {
  for (const std::int64_t exclusive : {0, 1})
    for (const std::int64_t reverse : {0, 1})
      for (const std::int64_t axis : {0, 1, -1}) {
        Network n;
        const ValueId x = n.input("x", {2, 5, 3}), v = n.input("v", {4});
        const AttributeList attributes{{"exclusive", exclusive}, {"reverse", reverse}};
        const Graph graph = after_pass(
            multiply_triangles,
            n.finish({n.node("CumSum", {x, n.constant(Tensor::scalar(axis))}, attributes),
                      n.node("CumSum", {v, n.ints({0})}, attributes)}),
            1e-5);
        for (const std::string& op : operators_of(graph)) EXPECT_NE(op, "CumSum");
      }
}

TEST(MultiplyTriangles, LongSumsStay) {
  Network n;
  expect_untouched(multiply_triangles,
                   n.finish({n.node("CumSum", {n.input("x", {1, 513}), n.ints({1})})}));
}

TEST(WhereByComparison, AChoiceBetweenTheComparedIsMaxOrMin) {
  const auto made = [](const std::string& op, bool swap, bool negated) {
    Network n;
    const ValueId x = n.input("x", {2, 5}), y = n.input("y", {2, 5});
    ValueId test = n.node(op, {x, y});
    if (negated) test = n.node("Not", {test});
    return operators_of(after_pass(
        where_by_comparison, n.finish({n.node("Where", {test, swap ? y : x, swap ? x : y})})));
  };
  EXPECT_EQ(made("Greater", false, false), Operators{"Max"});
  EXPECT_EQ(made("Greater", true, false), Operators{"Min"});
  EXPECT_EQ(made("LessOrEqual", false, false), Operators{"Min"});
  EXPECT_EQ(made("Less", false, true), Operators{"Max"});
}

TEST(WhereByComparison, OthersAreProductsWithZeroAndOne) {
  for (const char* op : {"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}) {
    Network n;
    const ValueId x = n.input("x", {2, 5}), y = n.input("y", {2, 5}), z = n.input("z", {1, 5});
    const ValueId test = n.node(op, {x, n.scalar(0.3F)});
    const ValueId number = n.node("Cast", {n.node(op, {y, x})}, {{"to", std::int64_t{1}}});
    const Graph graph =
        after_pass(where_by_comparison,
                   n.finish({n.node("Where", {test, y, z}), n.node("Where", {test, n.scalar(0), y}),
                             n.node("Where", {test, y, n.scalar(0)}), n.node("Mul", {number, z})}));
    for (const std::string& left : operators_of(graph)) {
      EXPECT_NE(left, "Where");
      EXPECT_NE(left, op);
    }
  }
}

TEST(NumberComparisons, OfOutputsOnly) {
  Network n;
  const ValueId x = n.input("x", {2, 3}), y = n.input("y", {2, 3});
  const ValueId inner = n.node("Less", {x, y});
  Graph graph = n.finish({n.node("Greater", {x, y}), n.node("Where", {inner, x, y})});
  EXPECT_EQ(number_comparisons(graph), 1);
  ops::infer_shapes(graph);
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "Greater_out");
  EXPECT_EQ(graph.value(graph.outputs()[0]).dtype, DType::Float32);
  const auto result =
      test::evaluate(graph, {Tensor::of<float>({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}),
                             Tensor::of<float>({2, 3}, std::vector<float>{6, 5, 4, 3, 2, 1})});
  const auto greater = result.at(0).data<float>();
  EXPECT_EQ(std::vector<float>(greater.begin(), greater.end()),
            (std::vector<float>{0, 0, 0, 1, 1, 1}));
}

TEST(DecomposeGroupNormalization, InstancesAreRows) {
  Network n;
  const ValueId x = n.input("x", {1, 4, 3, 5});
  const ValueId y =
      n.node("InstanceNormalization", {x, n.random({4}), n.random({4})}, {{"epsilon", 1e-3F}});
  const Graph graph = after_pass(decompose_group_normalization, n.finish({y}), 1e-5);
  EXPECT_EQ(operators_of(graph),
            (Operators{"Reshape", "LayerNormalization", "Reshape", "Mul", "Add"}));
}

TEST(DecomposeGroupNormalization, ParametersPerGroupAndPerChannel) {
  for (const std::int64_t parameters : {2, 6}) {
    Network n(21);
    const ValueId x = n.input("x", {2, 6, 4});
    const ValueId y =
        n.node("GroupNormalization", {x, n.random({parameters}), n.random({parameters})},
               {{"num_groups", std::int64_t{2}}});
    after_pass(decompose_group_normalization, n.finish({y}), 1e-5);
  }
}

TEST(DecomposeGroupNormalization, ABatchOfOneByItsOwnStatistics) {
  Network n;
  const ValueId x = n.input("x", {1, 3, 4, 4});
  const ValueId y = n.node("BatchNormalization",
                           {x, n.random({3}), n.random({3}), n.random({3}), n.random({3}, 1, 2)},
                           {{"training_mode", std::int64_t{1}}});
  const Graph graph = after_pass(decompose_group_normalization, n.finish({y}), 1e-5);
  the_node(graph, "LayerNormalization");
}

TEST(DecomposeGroupNormalization, GainsOfOneAndBiasesOfZeroCostNothing) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 8});
  const ValueId y =
      n.node("InstanceNormalization", {x, n.floats({2}, {1, 1}), n.floats({2}, {0, 0})});
  const Graph graph = after_pass(decompose_group_normalization, n.finish({y}), 1e-5);
  EXPECT_EQ(operators_of(graph), (Operators{"LayerNormalization"}));
}

TEST(CountAveragePadding, WhatIsMissingAtTheBorderIsMadeUpFor) {
  for (const std::int64_t ceil_mode : {0, 1})
    for (const std::int64_t include_pad : {0, 1}) {
      Network n(19);
      const ValueId x = n.input("x", {1, 2, 6, 7});
      const ValueId y = n.node("AveragePool", {x},
                               {{"kernel_shape", Ints{3, 3}},
                                {"strides", Ints{2, 2}},
                                {"pads", Ints{1, 1, 0, 1}},
                                {"ceil_mode", ceil_mode},
                                {"count_include_pad", include_pad}});
      const Graph graph = after_pass(count_average_padding, n.finish({y}));
      const Node& pool = the_node(graph, "AveragePool");
      EXPECT_TRUE(pool.attributes.get_int("count_include_pad", 0) == 1);
      EXPECT_EQ(pool.attributes.get_int("ceil_mode", 0), 0);
    }
}

TEST(CountAveragePadding, OverOneAxis) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 9});
  const ValueId y = n.node("AveragePool", {x}, {{"kernel_shape", Ints{3}}, {"pads", Ints{1, 1}}});
  EXPECT_EQ(operators_of(after_pass(count_average_padding, n.finish({y}))),
            (Operators{"AveragePool", "Mul"}));
}

TEST(CountAveragePadding, WithoutPaddingNothingIsMissing) {
  Network n;
  const ValueId y =
      n.node("AveragePool", {n.input("x", {1, 2, 6, 6})}, {{"kernel_shape", Ints{2, 2}}});
  expect_untouched(count_average_padding, n.finish({y}));
}

TEST(ReduceExtremes, EqualShapesAreReducedWithoutRounding) {
  Network n;
  const ValueId a = n.input("a", {1, 2, 3}), b = n.input("b", {1, 2, 3}), c = n.input("c", {2, 3}),
                d = n.input("d", {2, 3});
  const Graph graph =
      after_pass(reduce_extremes, n.finish({n.node("Max", {a, b}), n.node("Min", {c, d})}), 0);
  EXPECT_EQ(the_node(graph, "ReduceMax").attributes.get_int("keepdims", 1), 1);
  EXPECT_EQ(the_node(graph, "ReduceMin").attributes.get_int("keepdims", 1), 0);
}

TEST(ReduceExtremes, OthersGoByTheirDifference) {
  Network n;
  const ValueId a = n.input("a", {1, 3, 4}), b = n.input("b", {1, 3, 1});
  const Graph graph =
      after_pass(reduce_extremes,
                 n.finish({n.node("Max", {b, a}), n.node("Min", {a, n.random({3, 1})})}), 1e-6);
  for (const std::string& op : operators_of(graph))
    EXPECT_TRUE(op == "Sub" || op == "Relu" || op == "Add") << op;
}

TEST(ReduceExtremes, ABoundIsLeftToClip) {
  Network n;
  const ValueId y = n.node("Max", {n.input("x", {1, 3}), n.scalar(0.5F)});
  expect_untouched(reduce_extremes, n.finish({y}));
}

ValueId mask(Network& n, Shape shape, const std::vector<bool>& values) {
  Tensor t(DType::Bool, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) t.mutable_data<bool>()[i] = values[i];
  return n.constant(t);
}

TEST(WhereWithConstant, IsAProductWithAMask) {
  Network n;
  const ValueId m = mask(n, {1, 3}, {true, false, true}), x = n.input("x", {2, 3}),
                y = n.input("y", {2, 3});
  const Graph graph =
      after_pass(where_with_constant,
                 n.finish({n.node("Where", {m, x, y}), n.node("Where", {m, x, n.scalar(0)}),
                           n.node("Where", {m, n.scalar(3), y})}));
  for (const std::string& op : operators_of(graph)) EXPECT_NE(op, "Where");
}

TEST(WhereWithConstant, WhereAllIsOneSideNothingIsChosen) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const ValueId y = n.node("Where", {mask(n, {1}, {true}), x, n.random({2, 3})});
  EXPECT_EQ(operators_of(after_pass(where_with_constant, n.finish({y}))), (Operators{"Expand"}));
}

TEST(WhereWithConstant, InfinitiesAreNoFactors) {
  Network n;
  const ValueId y =
      n.node("Where", {mask(n, {2}, {true, false}), n.input("x", {2, 2}), n.scalar(-INFINITY)});
  expect_untouched(where_with_constant, n.finish({y}));
}

TEST(WhereWithConstant, LogicWithAConstantDecidesOrDoesNothing) {
  Network n;
  const ValueId zero = n.scalar(0), x = n.input("x", {2, 3});
  const ValueId c = n.node("Greater", {x, zero});
  const ValueId t = mask(n, {1}, {true});
  ValueId v = n.node("And", {c, t});
  v = n.node("Not", {n.node("Not", {v})});
  v = n.node("Xor", {v, t});
  const ValueId chosen = n.node("Where", {v, x, n.random({2, 3})});
  const Graph graph = after_pass(where_with_constant, n.finish({chosen, n.node("Or", {c, t})}));
  for (const std::string& op : operators_of(graph))
    EXPECT_TRUE(op != "And" && op != "Or" && op != "Xor") << op;
}

TEST(ShapePrelu, OneSlopePerChannelIsReshaped) {
  for (const Shape& shape : {Shape{1, 3}, Shape{1, 3, 5}, Shape{1, 3, 2, 2, 2}}) {
    Network n;
    Shape slope(shape.size() - 1, 1);
    slope[0] = 3;
    const ValueId y = n.node("PRelu", {n.input("x", shape), n.random(slope)});
    const Graph graph = after_pass(shape_prelu, n.finish({y}));
    EXPECT_EQ(graph.value(the_node(graph, "PRelu").inputs[0]).shape->size(), 4U);
  }
}

TEST(ShapePrelu, OtherSlopesBecomeTwoHalves) {
  Network n;
  const ValueId x = n.input("x", {1, 3, 4, 5});
  const Graph graph =
      after_pass(shape_prelu, n.finish({n.node("PRelu", {x, n.random({5})}),
                                        n.node("PRelu", {x, n.input("slope", {3, 1, 1})})}));
  for (const std::string& op : operators_of(graph)) EXPECT_NE(op, "PRelu");
}

TEST(FlattenDepth, ConvolutionsOverDepth) {
  const struct {
    Shape x, w;
    Ints pads, strides;
  } kCases[] = {
      {{1, 2, 1, 5, 5}, {3, 2, 1, 3, 3}, {0, 1, 1, 0, 1, 1}, {1, 1, 1}},
      {{1, 2, 1, 5, 5}, {3, 2, 3, 3, 3}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}},
      {{1, 2, 4, 5, 5}, {3, 2, 3, 2, 2}, {1, 0, 0, 1, 0, 0}, {2, 1, 1}},
      {{1, 2, 3, 4, 4}, {3, 2, 3, 1, 1}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}},
  };
  for (const auto& c : kCases) {
    Network n;
    const ValueId y = n.node("Conv", {n.input("x", c.x), n.random(c.w), n.random({3})},
                             {{"pads", c.pads}, {"strides", c.strides}});
    const Graph graph = after_pass(flatten_depth, n.finish({y}), 1e-5);
    for (const NodeId id : graph.topological_order())
      if (graph.node(id).op == "Conv") {
        EXPECT_EQ(graph.value(graph.node(id).inputs[0]).shape->size(), 4U);
      }
  }
}

TEST(FlattenDepth, PoolsOverDepth) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    Network n;
    const ValueId x = n.input("x", {1, 2, 4, 6, 5});
    const ValueId y = n.node(op, {x},
                             {{"kernel_shape", Ints{2, 3, 3}},
                              {"strides", Ints{2, 2, 1}},
                              {"pads", Ints{1, 1, 1, 1, 1, 1}}});
    const ValueId global = n.node(std::string("Global") + op, {y});
    after_pass(flatten_depth, n.finish({y, global}), 1e-5);
  }
}

TEST(RemoveQuantization, PairsGoAndAZeroAtTheLowerEndIsARelu) {
  Network n;
  const ValueId x = n.input("x", {1, 8});
  const ValueId scale = n.scalar(0.1F), zero = n.constant(Tensor::scalar(std::int8_t{3})),
                low = n.constant(Tensor::scalar(std::int8_t{-128}));
  const auto pair = [&](ValueId v, ValueId z) {
    return n.node("DequantizeLinear", {n.node("QuantizeLinear", {v, scale, z}), scale, z});
  };
  Graph graph = n.finish({n.node("Tanh", {pair(n.node("Sin", {pair(x, low)}), zero)})});
  EXPECT_EQ(remove_quantization(graph), 2);
  graph.remove_dead();
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Sin", "Tanh"}));
}

TEST(RemoveQuantization, RangesStayWithTheValues) {
  Network n;
  const ValueId x = n.input("x", {1, 8}), y = n.node("Sin", {x});
  const ValueId scale = n.scalar(0.5F), zero = n.constant(Tensor::scalar(std::uint8_t{100}));
  const ValueId back =
      n.node("DequantizeLinear", {n.node("QuantizeLinear", {y, scale, zero}), scale, zero});
  Graph graph = n.finish({n.node("Tanh", {back})});
  EXPECT_EQ(remove_quantization(graph), 1);
  EXPECT_EQ(graph.value(y).stated_range, std::pair(-50.F, 77.5F));
}

TEST(RemoveQuantization, ATypeWithoutAZeroPointCountsFromItsMiddle) {
  Network n;
  const ValueId x = n.input("x", {1, 8}), scale = n.scalar(0.1F);
  const auto pair = [&](ValueId v, DType type) {
    const ValueId q =
        n.node("QuantizeLinear", {v, scale}, {{"output_dtype", static_cast<std::int64_t>(type)}});
    return n.node("DequantizeLinear", {q, scale});
  };
  Graph graph =
      n.finish({n.node("Tanh", {pair(n.node("Sin", {pair(x, DType::UInt8)}), DType::Int8)})});
  EXPECT_EQ(remove_quantization(graph), 2);
  graph.remove_dead();
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Sin", "Tanh"}));
}

Graph with_integer_input(DType type, bool read_otherwise) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 2, 3}, type);
  const ValueId moved = n.node("Transpose", {x}, {{"perm", Ints{0, 3, 1, 2}}});
  const ValueId y = n.node("Cast", {moved}, {{"to", static_cast<std::int64_t>(DType::Float32)}});
  std::vector<ValueId> outputs{n.node("Relu", {y})};
  if (read_otherwise) outputs.push_back(n.node("Add", {x, x}));
  return n.finish(outputs);
}

TEST(FloatInputs, WholeNumbersThatAreCastAreTakenAsFloats) {
  Graph graph = with_integer_input(DType::UInt8, false);
  EXPECT_EQ(float_inputs(graph), 1);
  const Value& x = graph.value(graph.inputs()[0]);
  EXPECT_EQ(x.dtype, DType::Float32);
  EXPECT_EQ(x.given, DType::UInt8);
  EXPECT_EQ(operators_of(graph), (Operators{"Transpose", "Identity", "Relu"}));
}

TEST(FloatInputs, ThoseThatAreComputedWithStay) {
  expect_untouched(float_inputs, with_integer_input(DType::Int32, true));
}

TEST(FloatInputs, DequantizingThemIsArithmetic) {
  Network n;
  const ValueId x = n.input("x", {1, 4}, DType::UInt8);
  const ValueId y = n.node("DequantizeLinear",
                           {x, n.scalar(0.5F), n.constant(Tensor::scalar(std::uint8_t{128}))});
  Graph graph = n.finish({y});
  EXPECT_EQ(float_inputs(graph), 1);
  EXPECT_EQ(operators_of(graph), (Operators{"Sub", "Mul"}));
}

TEST(RemoveQuantization, PairsThatDifferStay) {
  Network n;
  const ValueId x = n.input("x", {1, 8}), zero = n.constant(Tensor::scalar(std::int8_t{0}));
  const ValueId q = n.node("QuantizeLinear", {x, n.scalar(0.1F), zero});
  expect_untouched(remove_quantization,
                   n.finish({n.node("DequantizeLinear", {q, n.scalar(0.2F), zero})}));
}

}  // namespace
}  // namespace espquant::passes
