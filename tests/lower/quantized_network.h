#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "lower/lower.h"
#include "tests/support/network.h"

namespace espquant::test {

/// Networks built in a few lines whose every value says how it is quantized: 8 bits and exponent -4
/// where nothing else is asked for.
class QuantizedNetwork {
 public:
  ValueId input(const std::string& name, Shape shape, int exponent = -4, int bits = 8) {
    return note(net_.input(name, std::move(shape)), {bits, {exponent}, -1});
  }
  /// Weights, a slope or another real constant.
  ValueId constant(Tensor data, int exponent = -4, int bits = 8) {
    return constant(std::move(data), TensorQuant{bits, {exponent}, -1});
  }
  ValueId constant(Tensor data, TensorQuant quant) {
    return note(net_.constant(std::move(data)), std::move(quant));
  }
  /// Shapes, axes, indices: not quantized.
  ValueId ints(const Ints& values) { return net_.ints(values); }
  ValueId node(const std::string& op, std::vector<ValueId> inputs,
               const AttributeList& attributes = {}, int exponent = -4, int bits = 8) {
    return note(net_.node(op, std::move(inputs), attributes), {bits, {exponent}, -1});
  }
  std::vector<ValueId> nodes(const std::string& op, std::vector<ValueId> inputs,
                             const AttributeList& attributes, std::size_t outputs) {
    const auto values = net_.nodes(op, std::move(inputs), attributes, outputs);
    for (const ValueId v : values) note(v, {8, {-4}, -1});
    return values;
  }
  Graph finish(const std::vector<ValueId>& outputs) {
    Graph graph = net_.finish(outputs);
    for (const auto& [v, quant] : quants_) graph.value(v).quant = quant;
    return graph;
  }

 private:
  ValueId note(ValueId v, TensorQuant quant) {
    quants_.emplace_back(v, std::move(quant));
    return v;
  }

  Network net_;
  std::vector<std::pair<ValueId, TensorQuant>> quants_;
};

inline espdl::Model lowered(const Graph& graph, std::string_view target = "esp32s3") {
  return lower::lower(graph, find_target(target)).model;
}

/// In order of execution.
inline std::vector<std::string> operators_of(const espdl::Model& model) {
  std::vector<std::string> ops;
  for (const auto& node : model.nodes) ops.push_back(node.op);
  return ops;
}

/// The one node of that operator.
inline const espdl::Node& the_node(const espdl::Model& model, const std::string& op) {
  const auto is_op = [&](const espdl::Node& node) { return node.op == op; };
  EXPECT_EQ(std::count_if(model.nodes.begin(), model.nodes.end(), is_op), 1) << op;
  const auto found = std::find_if(model.nodes.begin(), model.nodes.end(), is_op);
  if (found == model.nodes.end()) throw Error(ErrorCode::Internal, "the model has no " + op);
  return *found;
}

/// The constant behind an input of a node.
inline const espdl::Constant& constant_of(const espdl::Model& model, const espdl::Node& node,
                                          std::size_t input) {
  const auto* constant = model.find_initializer(node.inputs.at(input));
  if (constant == nullptr) throw Error(ErrorCode::Internal, "this input is no constant");
  return *constant;
}

inline const espdl::ValueInfo& value_of(const espdl::Model& model, const std::string& name) {
  const auto* value = model.find_value(name);
  if (value == nullptr) throw Error(ErrorCode::Internal, "the model has no tensor " + name);
  return *value;
}

template <typename T>
std::vector<T> elements_of(const Tensor& tensor) {
  const auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}

}  // namespace espquant::test
