#include "onnx/control_flow.h"

#include <gtest/gtest.h>

#include "onnx/import.h"
#include "tests/support/errors.h"
#include "tests/support/model_bytes.h"
#include "tests/support/network.h"

/// Functions of the model, If, Loop and Scan become plain nodes.
namespace espquant::onnx {
namespace {

using test::error_of;

onnx_schema::Graph& graph_of(onnx_schema::Node& node, const std::string& name) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(5);
  return *attribute.mutable_g();
}

void append(onnx_schema::Graph& graph, const std::string& op, std::vector<std::string> inputs,
            const std::string& output) {
  auto& node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(op);
  for (auto& input : inputs) node.add_input(input);
  node.add_output(output);
}

void append_output(onnx_schema::Graph& graph, const std::string& name) {
  graph.add_output()->set_name(name);
}

void append_input(onnx_schema::Graph& graph, const std::string& name) {
  graph.add_input()->set_name(name);
}

void append_ints(onnx_schema::Graph& graph, const std::string& name, std::vector<std::int64_t> dims,
                 std::vector<std::int64_t> values, int type = 7) {
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t d : dims) tensor.add_dims(d);
  for (const std::int64_t v : values)
    type == 7 ? tensor.add_int64_data(v) : tensor.add_int32_data(static_cast<std::int32_t>(v));
}

Tensor result_of(const onnx_schema::Model& model, const Tensor& x) {
  Graph graph = import_model(test::bytes_of(model), {});
  verify(graph, "import");
  ops::infer_shapes(graph);
  return test::evaluate(graph, {x}).back();
}

const Tensor kX = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});

/// z = If(the first extent of x is 2) y + y else y.
onnx_schema::Model if_model() {
  auto model = test::whole_add_model();
  auto& graph = *model.mutable_graph();
  append_ints(graph, "zero", {}, {0});
  append_ints(graph, "two", {}, {2});
  test::add_node(model, "Shape", {"x"}, {"shape"});
  test::add_node(model, "Gather", {"shape", "zero"}, {"rows"});
  test::add_node(model, "Equal", {"rows", "two"}, {"is_two"});
  auto& node = test::add_node(model, "If", {"is_two"}, {"z"}, "choice");
  auto& yes = graph_of(node, "then_branch");
  append(yes, "Add", {"y", "y"}, "sum");
  append_output(yes, "sum");
  append_output(graph_of(node, "else_branch"), "y");
  test::describe(*graph.add_output(), "z", {2, 3});
  return model;
}

TEST(ControlFlow, TheBranchThatShapesDecideForIsTaken) {
  EXPECT_TRUE(result_of(if_model(), kX).equals(Tensor::of<float>({2, 3}, {4, 8, 12, 10, 14, 18})));
}

TEST(ControlFlow, AConditionOnDataIsRefused) {
  auto model = if_model();
  auto& nodes = *model.mutable_graph()->mutable_node();
  nodes[3].set_input(0, "x");
  nodes[3].set_input(1, "x");
  const Error error = error_of([&] { import_model(test::bytes_of(model), {}); });
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_EQ(error.node(), "choice");
}

/// Doubles x `trips` times and collects what it was before.
onnx_schema::Model loop_model(std::int64_t trips) {
  auto model = test::whole_add_model();
  auto& graph = *model.mutable_graph();
  append_ints(graph, "trips", {}, {trips});
  auto& node = test::add_node(model, "Loop", {"trips", "", "x"}, {"last", "all"}, "loop");
  auto& body = graph_of(node, "body");
  for (const char* name : {"i", "going", "state"}) append_input(body, name);
  append(body, "Identity", {"going"}, "still");
  append(body, "Add", {"state", "state"}, "doubled");
  append(body, "Identity", {"state"}, "before");
  for (const char* name : {"still", "doubled", "before"}) append_output(body, name);
  test::describe(*graph.add_output(), "last", {2, 3});
  test::describe(*graph.add_output(), "all", {trips, 2, 3});
  return model;
}

TEST(ControlFlow, ALoopOfKnownLengthIsWrittenOut) {
  Graph graph = import_model(test::bytes_of(loop_model(3)), {});
  ops::infer_shapes(graph);
  const auto outputs = test::evaluate(graph, {kX});
  EXPECT_TRUE(outputs[1].equals(Tensor::of<float>({2, 3}, {8, 16, 24, 32, 40, 48})));
  EXPECT_EQ(outputs[2].shape(), (Shape{3, 2, 3}));
  EXPECT_EQ(outputs[2].data<float>()[6], 2);
  EXPECT_EQ(outputs[2].data<float>()[17], 24);
}

TEST(ControlFlow, ALoopTooLongIsRefused) {
  const Error error = error_of([] { import_model(test::bytes_of(loop_model(1000000)), {}); });
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_EQ(error.node(), "loop");
}

TEST(ControlFlow, LoopsInALoopAreCountedTogether) {
  auto model = test::whole_add_model();
  auto& graph = *model.mutable_graph();
  append_ints(graph, "trips", {}, {kMostUnrolledNodes});
  const auto add_loop = [](onnx_schema::Node& node) -> onnx_schema::Graph& {
    auto& body = graph_of(node, "body");
    for (const char* name : {"i", "going", "state"}) append_input(body, name);
    append_output(body, "going");
    append_output(body, "next");
    return body;
  };
  auto& outer = add_loop(test::add_node(model, "Loop", {"trips", "", "x"}, {"last"}, "outer"));
  auto& inner = *outer.add_node();
  inner.set_op_type("Loop");
  inner.set_name("inner");
  for (const char* input : {"trips", "", "state"}) inner.add_input(input);
  inner.add_output("next");
  append(add_loop(inner), "Relu", {"state"}, "next");
  test::describe(*graph.add_output(), "last", {2, 3});
  EXPECT_EQ(error_of([&] { import_model(test::bytes_of(model), {}); }).code(), ErrorCode::BadData);
}

TEST(ControlFlow, AScanRunsAlongItsAxis) {
  auto model = test::whole_add_model();
  auto& graph = *model.mutable_graph();
  auto& start = *graph.add_initializer();
  start.set_name("start");
  start.set_data_type(1);
  start.add_dims(2);
  start.add_float_data(0);
  start.add_float_data(0);
  auto& node = test::add_node(model, "Scan", {"start", "x"}, {"total", "sums"}, "scan");
  auto& count = *node.add_attribute();
  count.set_name("num_scan_inputs");
  count.set_type(2);
  count.set_i(1);
  auto& axes = *node.add_attribute();
  axes.set_name("scan_input_axes");
  axes.set_type(7);
  axes.add_ints(1);
  auto& body = graph_of(node, "body");
  append_input(body, "sum");
  append_input(body, "column");
  append(body, "Add", {"sum", "column"}, "next");
  append(body, "Identity", {"next"}, "out");
  append_output(body, "next");
  append_output(body, "out");
  test::describe(*graph.add_output(), "sums", {3, 2});
  EXPECT_TRUE(result_of(model, kX).equals(Tensor::of<float>({3, 2}, {1, 4, 3, 9, 6, 15})));
}

TEST(Functions, CallsAreInlinedWithTheirAttributes) {
  auto model = test::whole_add_model();
  auto& function = *model.add_functions();
  function.set_name("Block");
  function.set_domain("local");
  function.add_input("a");
  function.add_output("b");
  function.add_attribute("slope");
  auto& leaky = *function.add_node();
  leaky.set_op_type("LeakyRelu");
  leaky.add_input("a");
  leaky.add_output("t");
  auto& reference = *leaky.add_attribute();
  reference.set_name("alpha");
  reference.set_type(1);
  reference.set_ref_attr_name("slope");
  auto& add = *function.add_node();
  add.set_op_type("Add");
  add.add_input("t");
  add.add_input("a");
  add.add_output("b");
  for (const char* output : {"u", "z"}) {
    auto& call = test::add_node(model, "Block", {output[0] == 'u' ? "y" : "u"}, {output}, "call");
    call.set_domain("local");
    auto& slope = *call.add_attribute();
    slope.set_name("slope");
    slope.set_type(1);
    slope.set_f(0.5F);
  }
  test::describe(*model.mutable_graph()->add_output(), "z", {2, 3});
  const Tensor x = Tensor::of<float>({2, 3}, {-3, -3, -3, 1, 1, 1});
  // y = x + (1, 2, 3); each call multiplies by 1.5 below and 2 above zero.
  EXPECT_TRUE(result_of(model, x).equals(
      Tensor::of<float>({2, 3}, {-2 * 2.25F, -1 * 2.25F, 0, 8, 12, 16})));
}

TEST(Functions, OneThatCallsItselfIsRefused) {
  auto model = test::whole_add_model();
  auto& function = *model.add_functions();
  function.set_name("F");
  function.set_domain("local");
  auto& inner = *function.add_node();
  inner.set_op_type("F");
  inner.set_domain("local");
  EXPECT_NO_THROW(import_model(test::bytes_of(model), {}));
  test::add_node(model, "F", {}, {}, "call").set_domain("local");
  EXPECT_EQ(error_of([&] { import_model(test::bytes_of(model), {}); }).node(), "call");
}

TEST(Functions, CallsThatDoubleAreCountedThoughTheyDoNothing) {
  auto model = test::whole_add_model();
  const auto call = [](onnx_schema::Node& node, int level) {
    node.set_op_type("F" + std::to_string(level));
    node.set_domain("local");
  };
  for (int level = 0; level < 30; ++level) {
    auto& function = *model.add_functions();
    function.set_name("F" + std::to_string(level));
    function.set_domain("local");
    for (int i = 0; i < 2 && level > 0; ++i) call(*function.add_node(), level - 1);
  }
  call(test::add_node(model, "", {}, {}, "call"), 29);
  EXPECT_EQ(error_of([&] { import_model(test::bytes_of(model), {}); }).code(), ErrorCode::BadData);
}

TEST(Import, OutputsOfTrainingThatNobodyReadsAreLeftOut) {
  auto model = test::whole_add_model(7);
  test::add_node(model, "BatchNormalization", {"y", "w", "w", "w", "w"},
                 {"n", "m", "v", "sm", "sv"}, "norm");
  test::describe(*model.mutable_graph()->add_output(), "n", {2, 3});
  const Graph graph = import_model(test::bytes_of(model), {});
  EXPECT_EQ(test::the_node(graph, "BatchNormalization").outputs.at(1), kNone);
  // Five outputs: by the batch's own statistics.
  EXPECT_EQ(test::the_node(graph, "BatchNormalization").attributes.get_int("training_mode", 0), 1);
  EXPECT_EQ(result_of(model, kX).shape(), (Shape{2, 3}));
}

TEST(ControlFlow, WhatDependsOnDataMayStayAsANode) {
  auto model = test::whole_add_model();
  auto& node = test::add_node(model, "If", {"y"}, {"z"}, "branch");
  auto& branch = graph_of(node, "then_branch");
  append(branch, "Relu", {"x"}, "inner");
  append_output(branch, "inner");
  test::add_node(model, "Sqrt", {"z"}, {"end"}, "sqrt");
  test::describe(*model.mutable_graph()->add_value_info(), "z", {5});
  model.mutable_graph()->mutable_output(0)->set_name("end");
  std::vector<Error> refused;
  ImportOptions options;
  options.refused = &refused;
  const Graph graph = import_model(test::bytes_of(model), {}, options);
  verify(graph, "import");
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].node(), "branch");
  const Node& left = test::the_node(graph, "If");
  EXPECT_EQ(left.inputs.size(), 2U) << "the condition, and what the branch reads";
  EXPECT_EQ(graph.value(left.outputs[0]).shape, Shape{5}) << "as the file states it";
}

}  // namespace
}  // namespace espquant::onnx
