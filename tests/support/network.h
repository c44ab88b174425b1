#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"
#include "ops/op.h"

/// Small networks built in a few lines, and what they compute.
namespace espquant::test {

using AttributeList = std::vector<std::pair<std::string, AttributeValue>>;
using Ints = std::vector<std::int64_t>;

inline Attributes attributes_of(const AttributeList& list) {
  Attributes attributes;
  for (const auto& [name, value] : list) attributes.set(name, value);
  return attributes;
}

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, float low = -1,
                            float high = 1) {
  Random random(seed);
  Tensor t(DType::Float32, shape);
  for (float& v : t.mutable_data<float>()) v = random.uniform(low, high);
  return t;
}

class Network {
 public:
  explicit Network(std::int64_t opset = 17) {
    graph_.name = "test";
    graph_.opset = opset;
  }
  ValueId input(const std::string& name, Shape shape, DType dtype = DType::Float32) {
    const ValueId v = graph_.add_value(name, dtype, std::move(shape));
    graph_.add_input(v);
    return v;
  }
  ValueId constant(Tensor data) {
    return graph_.add_constant(graph_.unique_value_name("c"), std::move(data));
  }
  ValueId scalar(float v) { return constant(Tensor::scalar(v)); }
  ValueId floats(Shape shape, std::vector<float> values) {
    return constant(Tensor::of<float>(std::move(shape), values));
  }
  ValueId ints(const Ints& values) {
    return constant(Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }
  /// Different numbers at each call.
  ValueId random(const Shape& shape, float low = -1, float high = 1) {
    return constant(random_tensor(shape, ++seed_, low, high));
  }
  /// All outputs of a node, named after it.
  std::vector<ValueId> nodes(const std::string& op, std::vector<ValueId> inputs,
                             const AttributeList& attributes, std::size_t outputs) {
    const std::string name = graph_.unique_node_name(op);
    std::vector<ValueId> out;
    for (std::size_t i = 0; i < outputs; ++i)
      out.push_back(graph_.add_value(graph_.unique_value_name(name + "_out"), DType::Float32));
    graph_.add_node(op, name, std::move(inputs), out, attributes_of(attributes));
    return out;
  }
  ValueId node(const std::string& op, std::vector<ValueId> inputs,
               const AttributeList& attributes = {}) {
    return nodes(op, std::move(inputs), attributes, 1)[0];
  }
  Graph finish(const std::vector<ValueId>& outputs) {
    for (ValueId v : outputs) graph_.add_output(v);
    ops::infer_shapes(graph_);
    verify(graph_, "test network");
    return std::move(graph_);
  }

 private:
  Graph graph_;
  std::uint64_t seed_ = 0;
};

/// The outputs by the operators' reference kernels.
inline std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::map<ValueId, Tensor> known;
  for (std::size_t i = 0; i < inputs.size(); ++i) known[graph.inputs()[i]] = inputs[i];
  const auto find = [&](ValueId v) -> const Tensor* {
    if (v == kNone) return nullptr;
    return graph.value(v).is_constant() ? &graph.value(v).constant : &known.at(v);
  };
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> arguments;
    for (ValueId v : node.inputs) arguments.push_back(find(v));
    std::vector<Tensor> results = ops::run_node(graph, node, arguments);
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNone) known[node.outputs[i]] = std::move(results[i]);
  }
  std::vector<Tensor> outputs;
  for (ValueId v : graph.outputs()) outputs.push_back(*find(v));
  return outputs;
}

/// Every element within `relative` of the tensor's largest.
inline void expect_close(const Tensor& actual, const Tensor& expected, double relative,
                         const std::string& what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  // Comparisons that a network puts out become numbers.
  if (expected.dtype() == DType::Bool && actual.dtype() == DType::Float32)
    return expect_close(actual, expected.cast(DType::Float32), relative, what);
  ASSERT_EQ(actual.dtype(), expected.dtype()) << what;
  if (expected.dtype() != DType::Float32) {
    EXPECT_TRUE(actual.equals(expected)) << what;
    return;
  }
  const auto a = actual.data<float>(), e = expected.data<float>();
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(e[i])) largest = std::max(largest, std::abs(static_cast<double>(e[i])));
    const bool both_nan = std::isnan(a[i]) && std::isnan(e[i]);
    if (a[i] == e[i] || both_nan) continue;
    const double difference = std::abs(static_cast<double>(a[i]) - e[i]);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  EXPECT_LE(worst, relative * std::max(largest, 1e-3)) << what;
}

/// Both networks give the same outputs, of the same names, for random inputs in [-4, 4).
inline void expect_same_function(const Graph& actual, const Graph& expected,
                                 double relative = 2e-6) {
  std::vector<Tensor> inputs;
  for (ValueId v : expected.inputs())
    inputs.push_back(random_tensor(*expected.value(v).shape, 1000 + inputs.size(), -4, 4));
  const auto a = evaluate(actual, inputs), e = evaluate(expected, inputs);
  ASSERT_EQ(a.size(), e.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::string& name = expected.value(expected.outputs()[i]).name;
    EXPECT_EQ(actual.value(actual.outputs()[i]).name, name);
    expect_close(a[i], e[i], relative, name);
  }
}

/// The operators in topological order.
inline std::vector<std::string> operators_of(const Graph& graph) {
  std::vector<std::string> ops;
  for (NodeId id : graph.topological_order()) ops.push_back(graph.node(id).op);
  return ops;
}

/// The one living node of that operator.
inline const Node& the_node(const Graph& graph, const std::string& op) {
  const Node* found = nullptr;
  for (NodeId id : graph.topological_order()) {
    if (graph.node(id).op != op) continue;
    EXPECT_EQ(found, nullptr) << "more than one " << op;
    found = &graph.node(id);
  }
  if (found == nullptr)
    throw Error(ErrorCode::Internal, "the graph has no " + op + ":\n" + print(graph));
  return *found;
}

}  // namespace espquant::test
