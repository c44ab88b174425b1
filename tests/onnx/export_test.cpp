#include "onnx/export.h"

#include <gtest/gtest.h>

#include "onnx/import.h"
#include "tests/support/model_bytes.h"
#include "tests/support/shared.h"

namespace espquant::onnx {
namespace {

TEST(Export, WhatIsReadBackIsTheSameGraph) {
  Graph graph;
  graph.name = "g";
  graph.opset = 18;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{-1, 2});
  const ValueId low = graph.add_constant("low", Tensor::scalar(0.F));
  const ValueId y = graph.add_value("y", DType::Float32);
  const ValueId z = graph.add_value("z", DType::Float32);
  graph.add_input(x);
  Attributes attributes;
  attributes.set("i", std::int64_t{1});
  attributes.set("f", 2.F);
  attributes.set("s", std::string("text"));
  attributes.set("is", std::vector<std::int64_t>{1, 2});
  attributes.set("fs", std::vector<float>{1.F});
  attributes.set("ss", std::vector<std::string>{"a", "b"});
  attributes.set("t", Tensor::of<std::int8_t>({2}, {1, -1}));
  graph.add_node("Clip", "clip", {x, kNone, low, kNone}, {y}, attributes);
  graph.node(graph.add_node("Strange", "strange", {y}, {z})).domain = "espdl";
  graph.add_output(z);

  const auto bytes = export_model(graph);
  const Graph back = import_model(bytes, {});
  EXPECT_EQ(export_model(back), bytes);
  const Node& clip = back.node(back.topological_order().at(0));
  EXPECT_EQ(clip.inputs.size(), 3U) << "trailing optionals are left out";
  EXPECT_EQ(clip.inputs.at(1), kNone);
  EXPECT_EQ(clip.attributes.get_ints("is"), (Shape{1, 2}));
  EXPECT_EQ(clip.attributes.get_string("s", ""), "text");
  EXPECT_TRUE(clip.attributes.get_tensor("t")->equals(Tensor::of<std::int8_t>({2}, {1, -1})));
  EXPECT_EQ(back.node(back.topological_order().at(1)).domain, "espdl");
  EXPECT_EQ(back.value(back.inputs()[0]).shape, (Shape{-1, 2}));
  EXPECT_EQ(back.opset, 18);
}

TEST(Export, NodesAreInTopologicalOrder) {
  auto model = test::whole_add_model();
  model.mutable_graph()->mutable_node(0)->set_output(0, "sum");
  test::add_node(model, "Relu", {"sum"}, {"y"}, "relu");
  model.mutable_graph()->mutable_node()->SwapElements(0, 1);
  const auto bytes = export_model(import_model(test::bytes_of(model), {}));
  onnx_schema::Model written;
  ASSERT_TRUE(written.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  EXPECT_EQ(written.graph().node(0).op_type(), "Add");
  EXPECT_EQ(written.graph().node(1).op_type(), "Relu");
}

TEST(Export, WholeNetworksSurviveTheRoundTrip) {
  ESPQUANT_NEEDS_SHARED("models");
  for (const auto& entry : std::filesystem::directory_iterator(test::shared_dir() / "models")) {
    if (entry.path().extension() != ".onnx") continue;
    const Graph graph = import_model(entry.path());
    const auto bytes = export_model(graph);
    const Graph back = import_model(bytes, {});
    EXPECT_EQ(print(back), print(graph)) << entry.path();
    EXPECT_EQ(export_model(back), bytes) << entry.path();
  }
}

}  // namespace
}  // namespace espquant::onnx
