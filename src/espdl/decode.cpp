#include "espdl/decode.h"

#include <algorithm>
#include <unordered_set>

#include "espdl/execution_order.h"
#include "espdl/wire.h"

namespace espquant::espdl {
namespace {

template <typename T>
using Tables = flatbuffers::Vector<flatbuffers::Offset<T>>;

const fbs::Model& verified_root(const Payload& payload) {
  const std::span<const std::byte> buffer = payload.bytes;
  if (buffer.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    throw Error(ErrorCode::Malformed, "the model exceeds 2 GiB");
  constexpr flatbuffers::uoffset_t kMaxDepth = 16, kMaxTables = 1'000'000;
  // A table takes at least 8 bytes, and an honest file refers to it twice at most.
  const auto max_tables = std::min<flatbuffers::uoffset_t>(
      kMaxTables, 64 + static_cast<flatbuffers::uoffset_t>(buffer.size() / 4));
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer.data());
  flatbuffers::Verifier verifier(data, buffer.size(), kMaxDepth, max_tables);
  if (!fbs::VerifyModelBuffer(verifier)) {
    if (payload.decrypted)
      throw Error(ErrorCode::BadData, "the key does not open this model")
          .remedy("Give the key that it was encrypted with; if that was it, the file is damaged");
    throw Error(ErrorCode::Malformed, "the FlatBuffer inside is damaged")
        .remedy("Copy or export the file again");
  }
  return *fbs::GetModel(data);
}

AttributeValue decode_attribute(const fbs::Attribute& a, Wire& wire, Defects& defects) {
  switch (a.type()) {
    case fbs::AttributeType::Float:
      if (a.f()) return a.f()->value();
      break;
    case fbs::AttributeType::Int:
      if (a.i()) return a.i()->value();
      break;
    case fbs::AttributeType::String: {
      const auto bytes = wire.numbers(a.s());
      return std::string(bytes.begin(), bytes.end());
    }
    case fbs::AttributeType::Tensor:
      if (a.t()) return decode_tensor(*a.t(), wire, defects);
      break;
    case fbs::AttributeType::Floats:
      return decode_floats(a.floats(), wire);
    case fbs::AttributeType::Ints:
      return wire.numbers(a.ints());
    case fbs::AttributeType::Strings:
      return wire.texts(a.strings());
    case fbs::AttributeType::Graph:
    case fbs::AttributeType::Tensors:
    case fbs::AttributeType::Graphs:
    case fbs::AttributeType::Type:
    case fbs::AttributeType::Types:
      throw Error(ErrorCode::Unsupported, "attributes of graphs, types or lists of tensors");
    default:
      throw Error(ErrorCode::Malformed,
                  "unknown attribute type " + std::to_string(static_cast<int>(a.type())));
  }
  throw Error(ErrorCode::Malformed, "an attribute without its value");
}

Node decode_node(const fbs::Node& n, Wire& wire, Defects& defects) {
  Node node;
  node.name = wire.text(n.name());
  node.op = wire.text(n.op_type());
  node.inputs = wire.texts(n.input());
  node.outputs = wire.texts(n.output());
  if (node.op.empty())
    defects.report(Error(ErrorCode::Malformed, "a node without an operator").node(node.name));
  if (!n.attribute()) return node;
  for (const auto* a : *n.attribute()) try {
      std::string name = wire.text(a->name());
      if (!node.attributes.emplace(name, decode_attribute(*a, wire, defects)).second)
        throw Error(ErrorCode::Malformed, "attribute '" + name + "' is given twice");
    } catch (Error& e) {
      defects.report(e.node(node.name));
    }
  return node;
}

Shape decode_shape(const fbs::Dimensions* dims) {
  Shape shape;
  if (!dims || !dims->dim()) return shape;
  for (const auto* d : *dims->dim()) {
    const auto* extent = d->extent();
    if (!extent || extent->kind() != fbs::ExtentKind::Value)
      throw Error(ErrorCode::Unsupported, "an extent that is not a number")
          .remedy("Export with a fixed input shape");
    if (extent->value() < 0)
      throw Error(ErrorCode::Malformed, "extent " + std::to_string(extent->value()));
    shape.push_back(extent->value());
  }
  element_count(shape);
  return shape;
}

ValueInfo decode_value(const fbs::ValueInfo& v, Wire& wire) {
  ValueInfo value;
  value.name = wire.text(v.name());
  try {
    if (!v.type() || v.type()->type_type() == fbs::Type::NONE || !v.type()->type())
      throw Error(ErrorCode::Malformed, "a tensor without a type");
    const auto* type = v.type()->type_as_tensor();
    if (!type) throw Error(ErrorCode::Unsupported, "a value that is not a tensor");
    value.dtype = decode_element_type(type->element_type());
    value.shape = decode_shape(type->shape());
    wire.charge(value.shape.size() * sizeof(std::int64_t));
    value.exponents = decode_exponents(v.exponents(), wire);
  } catch (Error& e) {
    e.tensor(value.name);
    throw;
  }
  return value;
}

bool same_value(const ValueInfo& a, const ValueInfo& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.exponents == b.exponents;
}

/// Gathers the activations, each once, although a file lists inputs and outputs of the graph twice.
class ValueTable {
 public:
  ValueTable(std::vector<ValueInfo>& values, Wire& wire, Defects& defects)
      : values_(values), wire_(wire), defects_(defects) {}

  void add_all(const Tables<fbs::ValueInfo>* all) {
    if (!all) return;
    for (const auto* v : *all) try {
        // ESP-PPQ lists "", which stands for an optional input that is not given.
        if (ValueInfo value = decode_value(*v, wire_); !value.name.empty()) add(std::move(value));
      } catch (Error& e) {
        defects_.report(std::move(e));
      }
  }

  std::vector<std::string> add_ends(const Tables<fbs::ValueInfo>* ends) {
    std::vector<std::string> names;
    if (!ends) return names;
    for (const auto* v : *ends) try {
        ValueInfo value = decode_value(*v, wire_);
        if (value.name.empty() || std::find(names.begin(), names.end(), value.name) != names.end())
          throw Error(ErrorCode::Malformed,
                      "an input or output of the graph without a name of its own")
              .tensor(value.name);
        names.push_back(value.name);
        add(std::move(value));
      } catch (Error& e) {
        defects_.report(std::move(e));
      }
    return names;
  }

 private:
  void add(ValueInfo value) {
    const auto [it, fresh] = index_.emplace(value.name, values_.size());
    if (fresh)
      values_.push_back(std::move(value));
    else if (!same_value(values_[it->second], value))
      throw Error(ErrorCode::Malformed, "the tensor is described twice, differently")
          .tensor(value.name);
  }

  std::vector<ValueInfo>& values_;
  Wire& wire_;
  Defects& defects_;
  std::map<std::string, std::size_t> index_;
};

std::vector<Constant> decode_constants(const Tables<fbs::Tensor>* all, Wire& wire,
                                       Defects& defects) {
  std::vector<Constant> constants;
  if (!all) return constants;
  std::unordered_set<std::string> names;
  for (const auto* t : *all) try {
      Constant constant = decode_tensor(*t, wire, defects);
      if (constant.name.empty() || !names.insert(constant.name).second)
        throw Error(ErrorCode::Malformed, "a tensor without a name of its own")
            .tensor(constant.name);
      constants.push_back(std::move(constant));
    } catch (Error& e) {
      defects.report(std::move(e));
    }
  return constants;
}

void decode_heading(const fbs::Model& m, Wire& wire, Model& model) {
  model.producer = wire.text(m.producer_name());
  model.producer_version = wire.text(m.producer_version());
  model.ir_version = m.ir_version();
  model.model_version = m.model_version();
  if (m.opset_import())
    for (const auto* opset : *m.opset_import())
      model.opsets.emplace_back(wire.text(opset->domain()), opset->version());
  if (m.metadata())
    for (const auto* pair : *m.metadata())
      model.metadata.emplace_back(wire.text(pair->key()), wire.text(pair->value()));
}

}  // namespace

Model decode_model(const Payload& payload, Defects defects) {
  const fbs::Model& root = verified_root(payload);
  const fbs::Graph* graph = root.graph();
  if (!graph) throw Error(ErrorCode::Malformed, "there is no graph in the model");
  Wire wire(payload);
  Model model;
  decode_heading(root, wire, model);
  model.name = wire.text(graph->name());
  model.doc = wire.text(graph->doc());
  model.initializers = decode_constants(graph->initializer(), wire, defects);
  ValueTable values(model.values, wire, defects);
  values.add_all(graph->value_info());
  model.inputs = values.add_ends(graph->input());
  model.outputs = values.add_ends(graph->output());
  if (graph->node())
    for (const auto* n : *graph->node()) model.nodes.push_back(decode_node(*n, wire, defects));
  model.test_inputs = decode_constants(graph->test_inputs(), wire, defects);
  model.test_outputs = decode_constants(graph->test_outputs(), wire, defects);
  order_nodes(model, defects);
  return model;
}

}  // namespace espquant::espdl
