#include "onnx/inline_graphs.h"

#include <fmt/format.h>

#include "base/error.h"

namespace espquant::onnx {
namespace {

std::string outer_name(const Renaming& names, const std::string& name) {
  const auto it = names.find(name);
  return it == names.end() ? name : it->second;
}

// A graph within a copied node reads values of the copy. Its own names hide them.
void rename_reads(onnx_schema::Graph& inner, Renaming names) {
  for (const auto& input : inner.input()) names.erase(input.name());
  for (const auto& tensor : inner.initializer()) names.erase(tensor.name());
  for (const auto& node : inner.node())
    for (const std::string& output : node.output()) names.erase(output);
  for (auto& node : *inner.mutable_node()) {
    for (std::string& input : *node.mutable_input()) input = outer_name(names, input);
    for (auto& attribute : *node.mutable_attribute())
      if (attribute.has_g()) rename_reads(*attribute.mutable_g(), names);
  }
  // An output may be a value from outside: it gets a node that reads it.
  for (auto& output : *inner.mutable_output()) {
    const std::string outside = outer_name(names, output.name());
    if (outside != output.name()) output.set_name(outside);
  }
}

onnx_schema::Node renamed(onnx_schema::Node node, const std::string& prefix, Renaming& names) {
  for (std::string& input : *node.mutable_input())
    if (!input.empty()) input = outer_name(names, input);
  for (auto& attribute : *node.mutable_attribute())
    if (attribute.has_g()) rename_reads(*attribute.mutable_g(), names);
  for (std::string& output : *node.mutable_output()) {
    if (output.empty()) continue;
    const auto [it, added] = names.emplace(output, prefix + output);
    // Not every value of a body is new: an output of a function may have its name already.
    output = it->second;
    static_cast<void>(added);
  }
  node.set_name(prefix + node.name());
  return node;
}

/// Attributes that refer to the function's own take the call's value, or the function's default.
void fill_attributes(onnx_schema::Node& node,
                     const std::map<std::string, const onnx_schema::Attribute*>& given) {
  onnx_schema::Node filled = node;
  filled.clear_attribute();
  for (const onnx_schema::Attribute& attribute : node.attribute()) {
    if (attribute.ref_attr_name().empty()) {
      onnx_schema::Attribute copy = attribute;
      if (copy.has_g())
        for (auto& inner : *copy.mutable_g()->mutable_node()) fill_attributes(inner, given);
      *filled.add_attribute() = std::move(copy);
      continue;
    }
    // A reference to an attribute that the call leaves out: the node takes its own default.
    const auto value = given.find(attribute.ref_attr_name());
    if (value == given.end()) continue;
    onnx_schema::Attribute copy = *value->second;
    copy.set_name(attribute.name());
    *filled.add_attribute() = std::move(copy);
  }
  node = std::move(filled);
}

const onnx_schema::Attribute* find_attribute(const onnx_schema::Node& node,
                                             const std::string& name) {
  for (const onnx_schema::Attribute& attribute : node.attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

}  // namespace

Inlined copy_of(const onnx_schema::Graph& body, const std::string& prefix, Renaming& given) {
  if (!body.sparse_initializer().empty())
    throw Error(ErrorCode::Unsupported, "has a graph with sparse weights")
        .remedy("store the weights as dense tensors");
  Inlined copy;
  for (onnx_schema::Tensor tensor : body.initializer()) {
    const std::string name = prefix + tensor.name();
    given[tensor.name()] = name;
    tensor.set_name(name);
    copy.constants.push_back(std::move(tensor));
  }
  for (const onnx_schema::Node& node : body.node())
    copy.nodes.push_back(renamed(node, prefix, given));
  return copy;
}

Inlined body_of_call(const onnx_schema::Function& function, const onnx_schema::Node& call,
                     const std::string& prefix) {
  if (call.input_size() > function.input_size() || call.output_size() > function.output_size())
    throw Error(
        ErrorCode::Malformed,
        fmt::format("calls the function '{}' with {} inputs and {} outputs, it has {} and {}",
                    function.name(), call.input_size(), call.output_size(), function.input_size(),
                    function.output_size()));
  std::map<std::string, const onnx_schema::Attribute*> given;
  for (const onnx_schema::Attribute& attribute : function.attribute_proto())
    given[attribute.name()] = &attribute;
  for (const onnx_schema::Attribute& attribute : call.attribute())
    given[attribute.name()] = &attribute;
  Renaming names;
  for (int i = 0; i < function.input_size(); ++i)
    names[function.input(i)] = i < call.input_size() ? call.input(i) : "";
  Inlined copy;
  for (onnx_schema::Node node : function.node()) {
    fill_attributes(node, given);
    copy.nodes.push_back(renamed(std::move(node), prefix, names));
  }
  for (int i = 0; i < call.output_size(); ++i) {
    if (call.output(i).empty()) continue;
    copy.nodes.push_back(simple_node("Identity", fmt::format("{}output_{}", prefix, i),
                                     {outer_name(names, function.output(i))}, call.output(i)));
  }
  return copy;
}

const onnx_schema::Graph* graph_attribute(const onnx_schema::Node& node, const std::string& name) {
  const onnx_schema::Attribute* attribute = find_attribute(node, name);
  return attribute != nullptr && attribute->has_g() ? &attribute->g() : nullptr;
}

std::vector<std::int64_t> ints_attribute(const onnx_schema::Node& node, const std::string& name) {
  const onnx_schema::Attribute* attribute = find_attribute(node, name);
  if (attribute == nullptr) return {};
  return {attribute->ints().begin(), attribute->ints().end()};
}

std::int64_t int_attribute(const onnx_schema::Node& node, const std::string& name,
                           std::int64_t otherwise) {
  const onnx_schema::Attribute* attribute = find_attribute(node, name);
  return attribute == nullptr ? otherwise : attribute->i();
}

onnx_schema::Node simple_node(const std::string& op, const std::string& name,
                              const std::vector<std::string>& inputs, const std::string& output) {
  onnx_schema::Node node;
  node.set_op_type(op);
  node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

onnx_schema::Tensor int64_constant(const std::string& name, const std::vector<std::int64_t>& dims,
                                   const std::vector<std::int64_t>& values) {
  constexpr std::int32_t kInt64 = 7;
  onnx_schema::Tensor tensor;
  tensor.set_name(name);
  tensor.set_data_type(kInt64);
  for (const std::int64_t extent : dims) tensor.add_dims(extent);
  for (const std::int64_t value : values) tensor.add_int64_data(value);
  return tensor;
}

void set_int(onnx_schema::Node& node, const std::string& name, std::int64_t value) {
  constexpr std::int32_t kInt = 2;
  onnx_schema::Attribute& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(kInt);
  attribute.set_i(value);
}

void collect_reads(const onnx_schema::Node& node, std::map<std::string, int>& reads) {
  for (const std::string& input : node.input()) ++reads[input];
  for (const onnx_schema::Attribute& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    collect_reads(attribute.g().node(), reads);
    for (const auto& output : attribute.g().output()) ++reads[output.name()];
  }
}

void collect_reads(const google::protobuf::RepeatedPtrField<onnx_schema::Node>& nodes,
                   std::map<std::string, int>& reads) {
  for (const onnx_schema::Node& node : nodes) collect_reads(node, reads);
}

}  // namespace espquant::onnx
