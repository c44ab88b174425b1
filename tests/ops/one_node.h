#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "ops/op.h"

namespace espquant::ops::test {

/// A node with the tensors it reads; an undefined tensor stands for an optional input that is not
/// given.
struct OneNode {
  OneNode(std::string type, std::vector<Tensor> given,
          std::initializer_list<std::pair<const char*, AttributeValue>> with = {})
      : op(std::move(type)), inputs(std::move(given)) {
    for (const auto& [name, value] : with) attributes.set(name, value);
  }

  std::string op;
  std::vector<Tensor> inputs;
  Attributes attributes;
  std::int64_t opset = 17;
  std::size_t outputs = 1;

  OneNode& set(std::string name, AttributeValue value) {
    attributes.set(std::move(name), std::move(value));
    return *this;
  }
  OneNode& at(std::int64_t version) {
    opset = version;
    return *this;
  }
  OneNode& with_outputs(std::size_t count) {
    outputs = count;
    return *this;
  }

  /// By the reference kernel. The node's name is "n".
  std::vector<Tensor> run() const {
    Graph graph;
    graph.opset = opset;
    Node node;
    node.name = "n";
    node.op = op;
    node.attributes = attributes;
    node.inputs.assign(inputs.size(), 0);
    node.outputs.assign(outputs, 0);
    std::vector<const Tensor*> pointers;
    for (const Tensor& t : inputs) pointers.push_back(t.defined() ? &t : nullptr);
    return run_node(graph, node, pointers);
  }
  Tensor result() const { return run().at(0); }
};

inline Tensor floats(Shape shape, std::initializer_list<float> values) {
  return Tensor::of<float>(std::move(shape), values);
}
inline Tensor ints(std::initializer_list<std::int64_t> values) {
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}
/// 0, 1, 2, ...
inline Tensor counting(Shape shape) {
  Tensor t(DType::Float32, std::move(shape));
  float next = 0;
  for (float& x : t.mutable_data<float>()) x = next++;
  return t;
}
inline std::vector<float> values(const Tensor& t) {
  const auto data = t.data<float>();
  return {data.begin(), data.end()};
}

/// The error that `f` throws; Error(Internal) when it throws none.
template <typename F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return {ErrorCode::Internal, "nothing was refused"};
}
/// Why the node does not run.
inline ErrorCode refusal(const OneNode& node) {
  return error_of([&] { node.run(); }).code();
}

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

}  // namespace espquant::ops::test
