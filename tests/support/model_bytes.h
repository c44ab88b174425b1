#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "onnx_schema.pb.h"

/// Hand-made ONNX files for tests.
namespace espquant::test {

inline std::vector<std::byte> bytes_of(const google::protobuf::MessageLite& message) {
  const std::string text = message.SerializeAsString();
  const auto raw = std::as_bytes(std::span(text.data(), text.size()));
  return {raw.begin(), raw.end()};
}

inline void describe(onnx_schema::ValueInfo& info, const std::string& name,
                     std::vector<std::int64_t> shape, int elem_type = 1) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(elem_type);
  type.mutable_shape();
  for (std::int64_t extent : shape) type.mutable_shape()->add_dim()->set_dim_value(extent);
}

inline onnx_schema::Node& add_node(onnx_schema::Model& model, const std::string& op,
                                   std::vector<std::string> inputs,
                                   std::vector<std::string> outputs, const std::string& name = "") {
  auto& node = *model.mutable_graph()->add_node();
  node.set_op_type(op);
  if (!name.empty()) node.set_name(name);
  for (auto& input : inputs) node.add_input(input);
  for (auto& output : outputs) node.add_output(output);
  return node;
}

/// y = Add(x, w): x of shape 2x3, w an initializer without data, to be filled by the test.
inline onnx_schema::Model add_model(int opset = 17) {
  onnx_schema::Model model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  auto& graph = *model.mutable_graph();
  graph.set_name("g");
  describe(*graph.add_input(), "x", {2, 3});
  describe(*graph.add_output(), "y", {2, 3});
  add_node(model, "Add", {"x", "w"}, {"y"}, "add");
  auto& w = *graph.add_initializer();
  w.set_name("w");
  w.set_data_type(1);
  w.add_dims(3);
  return model;
}

/// As above with w = 1, 2, 3.
inline onnx_schema::Model whole_add_model(int opset = 17) {
  onnx_schema::Model model = add_model(opset);
  for (float v : {1.F, 2.F, 3.F}) model.mutable_graph()->mutable_initializer(0)->add_float_data(v);
  return model;
}

}  // namespace espquant::test
