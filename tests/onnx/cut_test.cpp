#include <gtest/gtest.h>

#include "onnx/import.h"
#include "tests/support/errors.h"
#include "tests/support/model_bytes.h"

namespace espquant::onnx {
namespace {

using Names = std::vector<std::string>;

/// x -> add -> y -> relu -> r; y -> if (by data) -> z; outputs r and z.
onnx_schema::Model branching_model() {
  onnx_schema::Model model = test::whole_add_model();
  auto& graph = *model.mutable_graph();
  test::add_node(model, "Relu", {"y"}, {"r"}, "relu");
  auto& branch = *test::add_node(model, "If", {"y"}, {"z"}, "branch").add_attribute();
  branch.set_name("then_branch");
  branch.set_type(5);
  graph.clear_output();
  test::describe(*graph.add_output(), "r", {2, 3});
  graph.add_output()->set_name("z");
  return model;
}

Graph import_cut(const onnx_schema::Model& model, const Names& inputs, const Names& outputs,
                 std::map<std::string, Shape> shapes = {}) {
  ImportOptions options;
  options.inputs = inputs;
  options.outputs = outputs;
  options.input_shapes = std::move(shapes);
  Graph graph = import_model(test::bytes_of(model), {}, options);
  verify(graph, "import");
  return graph;
}

Error refused_cut(const Names& inputs, const Names& outputs) {
  return test::error_of([&] { import_cut(branching_model(), inputs, outputs); });
}

Names names_of(const Graph& graph, std::span<const ValueId> values) {
  Names names;
  for (const ValueId v : values) names.push_back(graph.value(v).name);
  return names;
}

TEST(Cut, WhatIsBehindTheOutputsIsNotImported) {
  const Graph graph = import_cut(branching_model(), {}, {"r"});
  EXPECT_EQ(names_of(graph, graph.outputs()), Names{"r"});
  EXPECT_EQ(graph.topological_order().size(), 2U);
}

TEST(Cut, ANodeStandsForWhatItPutsOut) {
  const Graph graph = import_cut(branching_model(), {}, {"relu", "add"});
  EXPECT_EQ(names_of(graph, graph.outputs()), (Names{"r", "y"}));
}

TEST(Cut, AValueBecomesAnInputOfTheShapeThatNodesBeforeItGive) {
  const Graph graph = import_cut(branching_model(), {"y"}, {"r"});
  EXPECT_EQ(names_of(graph, graph.inputs()), Names{"y"});
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Shape{2, 3}));
  EXPECT_EQ(graph.topological_order().size(), 1U);
}

TEST(Cut, AGivenShapeGoesBeforeAnyOther) {
  const Graph graph = import_cut(branching_model(), {"y"}, {"r"}, {{"y", {5, 3}}});
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Shape{5, 3}));
}

TEST(Cut, AnInputOfUnknownShapeAsksForIt) {
  auto model = branching_model();
  test::add_node(model, "Relu", {"z"}, {"end"}, "end");
  const Error error = test::error_of([&] { import_cut(model, {"z"}, {"end"}); });
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_NE(error.remedy().find("--input-shape z="), std::string::npos) << error.what();
  EXPECT_NO_THROW(import_cut(model, {"z"}, {"end"}, {{"z", {2, 3}}}));
}

TEST(Cut, TheStatedShapeOfAValueIsTaken) {
  auto model = branching_model();
  test::add_node(model, "Relu", {"z"}, {"end"}, "end");
  test::describe(*model.mutable_graph()->add_value_info(), "z", {7});
  const Graph graph = import_cut(model, {"z"}, {"end"});
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, Shape{7});
}

TEST(Cut, InputsOfTheFileStayWhereTheyAreStillRead) {
  auto model = branching_model();
  test::add_node(model, "Mul", {"r", "x"}, {"m"}, "mul");
  const Graph graph = import_cut(model, {"r"}, {"m"});
  EXPECT_EQ(names_of(graph, graph.inputs()), (Names{"x", "r"}));
}

TEST(Cut, NamesThatAreNoneAreRefusedWithTheNearest) {
  for (const bool output : {true, false}) {
    const Error error = output ? refused_cut({}, {"rely"}) : refused_cut({"rely"}, {"r"});
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    EXPECT_EQ(error.remedy(), "did you mean 'relu'?");
  }
  EXPECT_EQ(refused_cut({}, {"w"}).code(), ErrorCode::Usage) << "a constant";
}

TEST(Cut, AnInputWithoutInfluenceIsRefused) {
  const Error error = refused_cut({"r"}, {"y"});
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.message().find("'r'"), std::string::npos) << error.what();
}

}  // namespace
}  // namespace espquant::onnx
