#include "ops/op.h"

#include <gtest/gtest.h>

#include "ops/most_inputs.h"
#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using espquant::ops::test::counting;
using espquant::ops::test::error_of;
using espquant::ops::test::ints;

TEST(Registry, IsInAlphabeticalOrderWithoutTwins) {
  const auto ops = all_ops();
  for (std::size_t i = 1; i < ops.size(); ++i) EXPECT_LT(ops[i - 1].type, ops[i].type);
}

TEST(Registry, FindsEachOfItsOperators) {
  for (const OpDef& op : all_ops()) EXPECT_EQ(find_op(op.type), &op);
  EXPECT_EQ(find_op("Conb"), nullptr);
}

TEST(Registry, AnUnknownOperatorIsRefused) {
  Node node;
  node.name = "stem";
  node.op = "Conb";
  const Error e = error_of([&] { op_of(node); });
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_EQ(e.node(), "stem");
  EXPECT_NE(e.message().find("Conb"), std::string::npos);
}

TEST(Registry, KnowsHowManyInputsEachOperatorHasAtMost) {
  for (const OpDef& op : all_ops()) EXPECT_NO_THROW(most_inputs(op.type)) << op.type;
  EXPECT_EQ(most_inputs("Conv"), 3U);
  EXPECT_EQ(most_inputs("Concat"), kAnyNumber);
}

TEST(Registry, ANodeWithMoreInputsThanItsOperatorIsRefused) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{1, 4});
  const ValueId y = graph.add_value("y", DType::Float32);
  graph.add_input(x);
  // An input that is left out behind those that there are is none.
  const NodeId relu = graph.add_node("Relu", "relu", {x, kNone}, {y});
  graph.add_output(y);
  EXPECT_NO_THROW(infer_shapes(graph));
  graph.set_input(relu, 1, x);
  const Error e = error_of([&] { infer_shapes(graph); });
  EXPECT_EQ(e.code(), ErrorCode::Malformed);
  EXPECT_EQ(e.node(), "relu");
  EXPECT_NE(e.message().find("Relu takes 1 inputs at most, this one has 2"), std::string::npos)
      << e.message();
}

Graph chain_of(const std::vector<std::string>& ops) {
  Graph graph;
  ValueId v = graph.add_value("x", DType::Float32, Shape{1, 4});
  graph.add_input(v);
  for (const std::string& op : ops) {
    const ValueId next = graph.add_value(graph.unique_value_name(op), DType::Float32);
    graph.add_node(op, graph.unique_node_name(op), {v}, {next});
    v = next;
  }
  graph.add_output(v);
  return graph;
}

TEST(Registry, EveryUnknownOperatorIsListed) {
  Graph graph = chain_of({"LRN", "Relu", "Unique", "LRN", "LRN", "LRN"});
  const Error e = error_of([&] { infer_shapes(graph); });
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_NE(e.message().find("LRN (LRN, LRN_1, LRN_2 and 1 more), Unique (Unique)"),
            std::string::npos)
      << e.message();
}

TEST(KnownShapes, StopAtWhatCannotBeInferredAndGoOnBesideIt) {
  Graph graph = chain_of({"Relu", "Conb", "Relu"});
  const ValueId end = graph.add_value("end", DType::Float32);
  graph.add_node("Softmax", "beside", {graph.find_value("Relu")}, {end});
  const auto refused = infer_known_shapes(graph);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(graph.node(refused[0].node).op, "Conb");
  EXPECT_EQ(refused[0].error.node(), "Conb");
  EXPECT_EQ(graph.value(end).shape, (Shape{1, 4}));
  EXPECT_FALSE(graph.value(graph.outputs()[0]).shape);
}

TEST(KnownShapes, OpenExtentsStayOpen) {
  Graph graph = chain_of({"Relu"});
  graph.value(graph.inputs()[0]).shape = Shape{-1, -1};
  EXPECT_TRUE(infer_known_shapes(graph).empty());
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Shape{-1, -1}));
  const Error e = error_of([&] { infer_shapes(graph); });
  EXPECT_NE(e.remedy().find("--input-shape x=1,?"), std::string::npos) << e.what();
}

TEST(Registry, NetworksThatWereQuantizedBeforeAreSaidToBe) {
  Graph graph = chain_of({"QLinearConv"});
  const Error e = error_of([&] { infer_shapes(graph); });
  EXPECT_NE(e.message().find("quantized already"), std::string::npos);
  EXPECT_NE(e.remedy().find("float network"), std::string::npos);
}

TEST(Registry, AnOperatorOfAnotherDomainIsAnotherOperator) {
  Node node;
  node.op = "Gelu";
  node.domain = "com.microsoft";
  EXPECT_EQ(error_of([&] { op_of(node); }).code(), ErrorCode::Unsupported);
}

/// x (batch, 3, 4) -> Reshape to (Shape(x)[0], -1).
struct FlattenByShape {
  Graph graph;
  ValueId x, shape, first, target, y;

  explicit FlattenByShape(Shape input) {
    x = graph.add_value("x", DType::Float32, std::move(input));
    graph.add_input(x);
    const ValueId zero = graph.add_constant("zero", ints({0}));
    const ValueId rest = graph.add_constant("rest", ints({-1}));
    shape = graph.add_value("shape", DType::Int64);
    first = graph.add_value("first", DType::Int64);
    target = graph.add_value("target", DType::Int64);
    y = graph.add_value("y", DType::Float32);
    graph.add_node("Shape", "shape_of", {x}, {shape});
    graph.add_node("Gather", "take", {shape, zero}, {first});
    Attributes axis;
    axis.set("axis", std::int64_t{0});
    graph.add_node("Concat", "join", {first, rest}, {target}, axis);
    graph.add_node("Reshape", "flatten", {x, target}, {y});
    graph.add_output(y);
  }
};

TEST(InferShapes, FollowsShapesThroughIntegerArithmetic) {
  FlattenByShape network({2, 3, 4});
  infer_shapes(network.graph);
  EXPECT_EQ(*network.graph.value(network.y).shape, (Shape{2, 12}));
  EXPECT_EQ(network.graph.value(network.target).dtype, DType::Int64);
  EXPECT_FALSE(network.graph.value(network.target).is_constant()) << "folding is a pass of its own";
}

TEST(InferShapes, AnUnknownFirstExtentTakesTheBatch) {
  FlattenByShape network({-1, 3, 4});
  infer_shapes(network.graph, 5);
  EXPECT_EQ(*network.graph.value(network.x).shape, (Shape{5, 3, 4}));
  EXPECT_EQ(*network.graph.value(network.y).shape, (Shape{5, 12}));
}

TEST(InferShapes, AnyOtherUnknownExtentIsRefused) {
  FlattenByShape network({1, -1, 4});
  const Error e = error_of([&] { infer_shapes(network.graph); });
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_EQ(e.tensor(), "x");
}

TEST(InferShapes, AShapeThatDependsOnDataIsRefused) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{4});
  const ValueId target = graph.add_value("target", DType::Int64, Shape{1});
  const ValueId y = graph.add_value("y", DType::Float32);
  graph.add_input(x);
  graph.add_input(target);
  graph.add_node("Reshape", "r", {x, target}, {y});
  const Error e = error_of([&] { infer_shapes(graph); });
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_EQ(e.node(), "r");
}

TEST(InferShapes, AnInputThatNothingComputesIsMalformed) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32), y = graph.add_value("y", DType::Float32);
  graph.add_node("Relu", "r", {x}, {y});
  EXPECT_EQ(error_of([&] { infer_shapes(graph); }).code(), ErrorCode::Malformed);
}

TEST(InferShapes, AnOutputThatTheOperatorLacksIsMalformed) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{2});
  const ValueId y = graph.add_value("y", DType::Float32), z = graph.add_value("z", DType::Float32);
  graph.add_input(x);
  graph.add_node("Relu", "r", {x}, {y, z});
  EXPECT_EQ(error_of([&] { infer_shapes(graph); }).code(), ErrorCode::Malformed);
}

TEST(InferShapes, ATensorOfAbsurdSizeIsRefusedBeforeMemoryIsTaken) {
  const ops::test::OneNode expand("Expand", {counting({1}), ints({1 << 20, 1 << 20})});
  EXPECT_EQ(error_of([&] { expand.run(); }).code(), ErrorCode::BadData);
  const ops::test::OneNode shapes("ConstantOfShape", {ints({INT64_MAX, 0})});
  EXPECT_EQ(error_of([&] { shapes.run(); }).code(), ErrorCode::BadData);
}

TEST(FoldNode, KnowsAShapeWithoutTheData) {
  FlattenByShape network({2, 3, 4});
  infer_shapes(network.graph);
  const auto folded = fold_node(network.graph, network.graph.node(0), 100);
  ASSERT_TRUE(folded.has_value());
  EXPECT_TRUE(folded->at(0).equals(ints({2, 3, 4})));
}

TEST(FoldNode, LeavesWhatDependsOnDataOrIsTooLarge) {
  FlattenByShape network({2, 3, 4});
  infer_shapes(network.graph);
  EXPECT_FALSE(fold_node(network.graph, network.graph.node(3), 100).has_value());
  EXPECT_FALSE(fold_node(network.graph, network.graph.node(0), 2).has_value());
}

TEST(RunNode, NamesTheNodeThatFails) {
  const Error e = error_of([] { ops::test::OneNode("Add", {counting({2}), counting({3})}).run(); });
  EXPECT_EQ(e.code(), ErrorCode::BadData);
  EXPECT_EQ(e.node(), "n");
}

TEST(RunNode, AMissingInputIsMalformed) {
  EXPECT_EQ(error_of([] {
              ops::test::OneNode("MatMul", {counting({2, 2})}).run();
            }).code(),
            ErrorCode::Malformed);
  EXPECT_EQ(error_of([] {
              ops::test::OneNode("Add", {Tensor(), counting({3})}).run();
            }).code(),
            ErrorCode::Malformed);
}

}  // namespace
}  // namespace espquant::ops
