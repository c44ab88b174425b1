#include "tests/sim/one_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace espquant::test {
namespace {

constexpr std::byte kStale{0x5A};

template <typename T, typename Values>
Tensor tensor_of(const Values& values, Shape shape) {
  std::vector<T> elements;
  for (auto v : values) elements.push_back(static_cast<T>(v));
  if (shape.empty()) shape = {static_cast<std::int64_t>(elements.size())};
  return Tensor::of<T>(std::move(shape), std::span<const T>(elements));
}

}  // namespace

OneNode::OneNode(std::string op) {
  espdl::Node node;
  node.name = "node";
  node.op = std::move(op);
  model_.nodes.push_back(std::move(node));
}

OneNode& OneNode::input(Tensor value, int exponent) {
  const std::string name = fmt::format("input{}", inputs_.size());
  model_.values.push_back({name, value.dtype(), value.shape(), {exponent}});
  model_.inputs.push_back(name);
  model_.nodes[0].inputs.push_back(name);
  inputs_.emplace_back(name, std::move(value));
  return *this;
}

OneNode& OneNode::constant(Tensor value, int exponent) {
  const std::string name = fmt::format("constant{}", model_.initializers.size());
  model_.nodes[0].inputs.push_back(name);
  add_initializer(name, std::move(value), exponent);
  return *this;
}

OneNode& OneNode::constant_per_channel(Tensor value, std::vector<int> exponents) {
  constant(std::move(value));
  model_.initializers.back().exponents = std::move(exponents);
  return *this;
}

OneNode& OneNode::absent() {
  model_.nodes[0].inputs.emplace_back();
  return *this;
}

OneNode& OneNode::attribute(std::string name, espdl::AttributeValue value) {
  model_.nodes[0].attributes.insert_or_assign(std::move(name), std::move(value));
  return *this;
}

OneNode& OneNode::lut(Tensor table, int exponent) {
  add_initializer("table", std::move(table), exponent);
  return attribute("lut", std::string("table"));
}

OneNode& OneNode::output(DType dtype, int exponent) {
  const std::string name = fmt::format("output{}", model_.outputs.size());
  model_.values.push_back({name, dtype, {}, {exponent}});
  model_.outputs.push_back(name);
  model_.nodes[0].outputs.push_back(name);
  return *this;
}

OneNode& OneNode::options(sim::Options options) {
  options_ = options;
  return *this;
}

std::vector<Tensor> OneNode::outputs(std::string_view target) const {
  return outputs(find_target(target));
}

std::vector<Tensor> OneNode::outputs(const Target& target) const {
  const sim::Program program(model_, target, options_);
  sim::Program::Frame frame(program);
  // What is left of anything else in its buffers must not matter.
  for (std::size_t t = 0; t < program.tensor_count(); ++t)
    std::ranges::fill(frame.bytes(t), kStale);
  for (const auto& [name, value] : inputs_) frame.set(program.tensor_index(name), value);
  frame.run();
  std::vector<Tensor> results;
  for (std::size_t tensor : program.outputs()) results.push_back(frame.tensor(tensor));
  return results;
}

std::vector<std::string> OneNode::faults(std::string_view target) const {
  return faults(find_target(target));
}

std::vector<std::string> OneNode::faults(const Target& target) const {
  const sim::Program program(model_, target, options_);
  std::vector<std::string> names;
  for (const sim::Program::Fault& fault : program.faults()) names.push_back(fault.name);
  return names;
}

void OneNode::add_initializer(std::string name, Tensor value, int exponent) {
  espdl::Constant constant;
  constant.name = std::move(name);
  constant.data = std::move(value);
  constant.exponents = {exponent};
  model_.initializers.push_back(std::move(constant));
}

Tensor int8(std::initializer_list<int> values, Shape shape) {
  return tensor_of<std::int8_t>(values, std::move(shape));
}
Tensor int16(std::initializer_list<int> values, Shape shape) {
  return tensor_of<std::int16_t>(values, std::move(shape));
}
Tensor int64(std::initializer_list<std::int64_t> values, Shape shape) {
  return tensor_of<std::int64_t>(values, std::move(shape));
}
Tensor float32(std::initializer_list<float> values, Shape shape) {
  return tensor_of<float>(values, std::move(shape));
}

Tensor counting(DType dtype, Shape shape) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(element_count(shape)));
  std::iota(values.begin(), values.end(), 0);
  return tensor_of<std::int64_t>(values, std::move(shape)).cast(dtype);
}

}  // namespace espquant::test
