#include "schedule/int8_table.h"

#include <algorithm>
#include <string_view>

#include "sim/program.h"

namespace espquant::schedule {
namespace {

using std::string_view_literals::operator""sv;

/// Besides whatever has a table.
constexpr std::array kUnary = {"RequantizeLinear"sv, "Relu"sv, "Clip"sv, "Neg"sv};
constexpr std::int64_t kLeastOfATable = 64;

}  // namespace

std::optional<Int8Values> int8_values_of(const espdl::Node& node, const espdl::ModelIndex& index,
                                         const Target& target) {
  if (!node.has("lut") && std::find(kUnary.begin(), kUnary.end(), node.op) == kUnary.end())
    return std::nullopt;
  if (node.inputs.empty() || node.outputs.size() != 1) return std::nullopt;
  const auto* in = index.value(node.inputs[0]);
  const auto* out = index.value(node.outputs[0]);
  if (in == nullptr || out == nullptr || in->dtype != DType::Int8 || out->dtype != DType::Int8 ||
      element_count(in->shape) < kLeastOfATable || in->shape != out->shape)
    return std::nullopt;
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const auto* constant = index.initializer(node.inputs[i]);
    if (!node.inputs[i].empty() && (constant == nullptr || constant->data.size() != 1))
      return std::nullopt;
  }
  espdl::Model alone;
  const Shape shape{1, 256};
  alone.nodes = {node};
  alone.inputs = {in->name};
  alone.outputs = {out->name};
  alone.values = {*in, *out};
  for (auto& value : alone.values) value.shape = shape;
  for (std::size_t i = 1; i < node.inputs.size(); ++i)
    if (const auto* constant = index.initializer(node.inputs[i]))
      alone.initializers.push_back(*constant);
  if (const auto* table = index.initializer(node.get_string("lut", "")))
    alone.initializers.push_back(*table);
  const sim::Program program(alone, target);
  sim::Program::Frame frame(program);
  Tensor all(DType::Int8, shape);
  auto elements = all.mutable_data<std::int8_t>();
  for (int q = -128; q < 128; ++q)
    elements[static_cast<std::size_t>(q + 128)] = static_cast<std::int8_t>(q);
  frame.set(program.inputs()[0], all);
  frame.run();
  Int8Values values{};
  const Tensor made = frame.tensor(program.outputs()[0]);
  std::copy_n(made.data<std::int8_t>().begin(), values.size(), values.begin());
  return values;
}

}  // namespace espquant::schedule
