#include "onnx/export.h"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "onnx/tensor_proto.h"
#include "onnx_schema.pb.h"

namespace espquant::onnx {
namespace {

/// The numbers of AttributeProto.AttributeType.
constexpr int kFloat = 1, kInt = 2, kString = 3, kTensor = 4, kFloats = 6, kInts = 7, kStrings = 8;

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

/// The IR version that came with an operator set; 4 is the first in which constants are not listed
/// as inputs.
std::int64_t ir_version_of(std::int64_t opset) {
  if (opset <= 8) return 4;
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  return opset <= 20 ? 9 : 10;
}

void write_attribute(const std::string& name, const AttributeValue& value,
                     onnx_schema::Attribute& out) {
  out.set_name(name);
  std::visit(Overloaded{
                 [&](std::int64_t v) { out.set_type(kInt), out.set_i(v); },
                 [&](float v) { out.set_type(kFloat), out.set_f(v); },
                 [&](const std::string& v) { out.set_type(kString), out.set_s(v); },
                 [&](const Tensor& v) {
                   out.set_type(kTensor), tensor_to_message(v, "", *out.mutable_t());
                 },
                 [&](const std::vector<std::int64_t>& v) {
                   out.set_type(kInts), out.mutable_ints()->Add(v.begin(), v.end());
                 },
                 [&](const std::vector<float>& v) {
                   out.set_type(kFloats), out.mutable_floats()->Add(v.begin(), v.end());
                 },
                 [&](const std::vector<std::string>& v) {
                   out.set_type(kStrings);
                   for (const std::string& s : v) out.add_strings(s);
                 },
             },
             value);
}

void write_value_info(const Value& value, onnx_schema::ValueInfo& out) {
  out.set_name(value.name);
  onnx_schema::TensorType& type = *out.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<std::int32_t>(value.dtype));
  if (!value.shape) return;
  onnx_schema::TensorShape& shape = *type.mutable_shape();
  for (std::size_t axis = 0; axis < value.shape->size(); ++axis) {
    const std::int64_t extent = (*value.shape)[axis];
    if (extent >= 0)
      shape.add_dim()->set_dim_value(extent);
    else
      shape.add_dim()->set_dim_param(fmt::format("{}_{}", value.name, axis));
  }
}

void write_names(const Graph& graph, const std::vector<ValueId>& values,
                 google::protobuf::RepeatedPtrField<std::string>& out) {
  std::size_t count = values.size();
  while (count > 0 && values[count - 1] == kNone) --count;
  for (std::size_t i = 0; i < count; ++i)
    *out.Add() = values[i] == kNone ? "" : graph.value(values[i]).name;
}

void write_node(const Graph& graph, const Node& node, onnx_schema::Node& out) {
  out.set_name(node.name);
  out.set_op_type(node.op);
  if (!node.domain.empty()) out.set_domain(node.domain);
  write_names(graph, node.inputs, *out.mutable_input());
  write_names(graph, node.outputs, *out.mutable_output());
  for (const auto& [name, value] : node.attributes)
    write_attribute(name, value, *out.add_attribute());
}

void write_graph(const Graph& graph, onnx_schema::Graph& out) {
  out.set_name(graph.name.empty() ? "graph" : graph.name);
  for (NodeId id : graph.topological_order()) write_node(graph, graph.node(id), *out.add_node());
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    const Value& value = graph.value(id);
    if (value.is_constant() && (!value.consumers.empty() || graph.is_output(id)))
      tensor_to_message(value.constant, value.name, *out.add_initializer());
    else if (value.producer != kNone && value.shape && !graph.is_output(id))
      write_value_info(value, *out.add_value_info());
  }
  for (ValueId v : graph.inputs()) write_value_info(graph.value(v), *out.add_input());
  for (ValueId v : graph.outputs()) write_value_info(graph.value(v), *out.add_output());
}

std::set<std::string> foreign_domains(const Graph& graph) {
  std::set<std::string> domains;
  for (NodeId id : graph.topological_order())
    if (!graph.node(id).domain.empty()) domains.insert(graph.node(id).domain);
  return domains;
}

}  // namespace

std::vector<std::byte> export_model(const Graph& graph) {
  onnx_schema::Model model;
  model.set_ir_version(ir_version_of(graph.opset));
  model.set_producer_name("espquant");
  model.add_opset_import()->set_version(graph.opset);
  for (const std::string& domain : foreign_domains(graph)) {
    auto& set = *model.add_opset_import();
    set.set_domain(domain);
    set.set_version(1);
  }
  write_graph(graph, *model.mutable_graph());
  const std::size_t size = model.ByteSizeLong();
  if (size > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error(ErrorCode::Unsupported, "the model exceeds the 2 GB of one ONNX file");
  std::vector<std::byte> bytes(size);
  if (!model.SerializeToArray(bytes.data(), static_cast<int>(size)))
    internal_error("the ONNX message cannot be serialized", __FILE__, __LINE__);
  return bytes;
}

}  // namespace espquant::onnx
