#include "survey/survey.h"

#include "tests/support/network.h"

namespace espquant::survey {
namespace {

using Names = std::vector<std::string>;

const Target& chip() { return find_target("esp32s3"); }

/// As a file has it: shapes of inputs only.
Graph as_imported(Graph graph) {
  for (std::size_t i = 0; i < graph.value_count(); ++i)
    if (Value& value = graph.value(static_cast<ValueId>(i)); value.producer != kNone)
      value.shape.reset();
  return graph;
}

/// x -> Conv -> Relu, where a test goes on.
struct Trunk {
  test::Network net;
  ValueId features;
  Trunk() {
    const ValueId x = net.input("x", {1, 4, 8, 8});
    features = net.node("Relu", {net.node("Conv", {x, net.random({4, 4, 3, 3})})});
  }
  Survey look(const std::vector<ValueId>& outputs) {
    return survey(as_imported(net.finish(outputs)), chip());
  }
};

const NodeVerdict& of(const Survey& survey, std::string_view op) {
  for (const NodeVerdict& node : survey.nodes)
    if (node.op == op) return node;
  throw Error(ErrorCode::Internal, "no such node");
}

TEST(Survey, WhatTheChipHasIsSupportedAndCosts) {
  Trunk trunk;
  const Survey found = trunk.look({trunk.features});
  EXPECT_EQ(found.unsupported(), 0U);
  ASSERT_EQ(found.costs.size(), 2U);
  EXPECT_EQ(found.costs[0].bits, 8);
  EXPECT_EQ(found.costs[1].bits, 16);
  EXPECT_GT(found.costs[0].milliseconds, 0);
  EXPECT_GT(found.costs[1].memory.activation_bytes(), found.costs[0].memory.activation_bytes());
  EXPECT_TRUE(found.cut.empty());
}

TEST(Survey, RewrittenNodesSayIntoWhat) {
  Trunk trunk;
  const ValueId scale = trunk.net.random({4}), bias = trunk.net.random({4});
  const Survey found =
      trunk.look({trunk.net.node("InstanceNormalization", {trunk.features, scale, bias})});
  const NodeVerdict& norm = of(found, "InstanceNormalization");
  EXPECT_EQ(norm.verdict, Verdict::Rewritten);
  EXPECT_NE(std::find(norm.becomes.begin(), norm.becomes.end(), "LayerNormalization"),
            norm.becomes.end());
  EXPECT_EQ(of(found, "Conv").verdict, Verdict::Supported);
}

TEST(Survey, NodesThatVanishSayWhere) {
  Trunk trunk;
  const ValueId mean = trunk.net.random({4}), variance = trunk.net.node("Exp", {mean});
  const Survey found = trunk.look(
      {trunk.net.node("BatchNormalization", {trunk.features, mean, mean, mean, variance})});
  const NodeVerdict& norm = of(found, "BatchNormalization");
  EXPECT_EQ(norm.verdict, Verdict::Rewritten);
  EXPECT_EQ(of(found, "Exp").verdict, Verdict::Rewritten);
  EXPECT_NE(of(found, "Exp").message.find("no input"), std::string::npos);
}

TEST(Survey, AllUnsupportedNodesAreFoundAndTheTailIsOffered) {
  Trunk trunk;
  const ValueId pooled = trunk.net.node("GlobalAveragePool", {trunk.features});
  const ValueId index = trunk.net.node("ArgMax", {pooled}, {{"axis", std::int64_t{1}}});
  const ValueId half = trunk.net.node("ArgMin", {trunk.features}, {{"axis", std::int64_t{1}}});
  const Survey found = trunk.look({index, half});
  EXPECT_EQ(of(found, "ArgMax").verdict, Verdict::Unsupported);
  EXPECT_EQ(of(found, "ArgMin").verdict, Verdict::Unsupported);
  EXPECT_FALSE(of(found, "ArgMin").remedy.empty());
  EXPECT_EQ(of(found, "GlobalAveragePool").verdict, Verdict::Supported);
  EXPECT_EQ(found.cut.outputs, (Names{"Relu_out", "GlobalAveragePool_out"}));
  EXPECT_TRUE(found.cut.inputs.empty());
  EXPECT_EQ(found.costs.size(), 2U) << "of what is supported";
}

TEST(Survey, BehindAnUnknownOperatorOnlyStatedShapesAreKnown) {
  for (const bool stated : {false, true}) {
    Trunk trunk;
    Graph graph = as_imported(trunk.net.finish({trunk.features}));
    const ValueId unknown = graph.add_value("u", DType::Float32),
                  end = graph.add_value("end", DType::Float32);
    if (stated) graph.value(unknown).shape = Shape{1, 4, 6, 6};
    graph.add_node("Mystery", "mystery", {graph.outputs()[0]}, {unknown});
    graph.add_node("Sqrt", "sqrt", {unknown}, {end});
    graph.set_outputs({end});
    const Survey found = survey(graph, chip());
    EXPECT_EQ(of(found, "Mystery").verdict, Verdict::Unsupported);
    EXPECT_EQ(of(found, "Sqrt").verdict, stated ? Verdict::Supported : Verdict::Unknown);
  }
}

TEST(Survey, AHeadThatPreparesIsOfferedAsACut) {
  test::Network net;
  const ValueId tokens = net.input("tokens", {1, 64}, DType::Int64);
  const ValueId rows = net.node("Gather", {net.random({2000, 8}), tokens});
  const Survey found =
      survey(as_imported(net.finish({net.node("MatMul", {rows, net.random({8, 3})})})), chip());
  EXPECT_EQ(of(found, "Gather").verdict, Verdict::Unsupported);
  EXPECT_EQ(of(found, "MatMul").verdict, Verdict::Supported);
  EXPECT_EQ(found.cut.inputs, Names{"Gather_out"});
}

TEST(Survey, NoCutGoesThroughLayersWithWeights) {
  Trunk trunk;
  const ValueId odd =
      trunk.net.node("Where", {trunk.net.node("Equal", {trunk.features, trunk.net.random({1})}),
                               trunk.features, trunk.net.random({1})});
  const Survey found = trunk.look({trunk.net.node("Conv", {odd, trunk.net.random({4, 4, 1, 1})})});
  EXPECT_GT(found.unsupported(), 0U);
  EXPECT_TRUE(found.cut.empty());
}

TEST(Survey, AnOperatorThatTheChipHasOtherwiseSaysHow) {
  Trunk trunk;
  const Survey found = trunk.look(
      {trunk.net.node("MaxPool", {trunk.features},
                      {{"kernel_shape", test::Ints{2, 2}}, {"dilations", test::Ints{2, 2}}})});
  EXPECT_EQ(of(found, "MaxPool").verdict, Verdict::Unsupported);
  EXPECT_NE(of(found, "MaxPool").message.find("dilation"), std::string::npos);
}

TEST(Survey, OpenExtentsAreAskedFor) {
  Trunk trunk;
  Graph graph = as_imported(trunk.net.finish({trunk.features}));
  graph.value(graph.inputs()[0]).shape = Shape{1, 4, -1, -1};
  try {
    survey(graph, chip());
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_NE(error.remedy().find("--input-shape x=1,4,?,?"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace espquant::survey
