#include "espdl/writer.h"

#include <limits>

#include "base/error.h"
#include "espdl/bytes.h"
#include "espdl/espdl_generated.h"
#include "espdl/index.h"

namespace espquant::espdl {
namespace {

template <typename T>
using Ref = flatbuffers::Offset<T>;
template <typename T>
using Refs = std::vector<Ref<T>>;

fbs::ElementType encode_element_type(DType dtype, std::string_view tensor) {
  if (dtype == DType::Undefined || dtype == DType::String || dtype > DType::UInt64)
    throw Error(ErrorCode::BadData,
                "the format has no elements of type " + std::string(to_string(dtype)))
        .tensor(tensor);
  return static_cast<fbs::ElementType>(dtype);
}

/// Builds the tables of one file, leaves first as FlatBuffers demands.
class Encoder {
 public:
  explicit Encoder(std::size_t expected_bytes) : builder_(expected_bytes) {
    // Even a file without elements is a multiple of 16 bytes long, on which floats() relies.
    builder_.ForceVectorAlignment(kBlockBytes, 1, kBlockBytes);
  }

  std::span<const std::byte> encode(const Model& model);

 private:
  Ref<flatbuffers::String> optional_text(const std::string& s) {
    return s.empty() ? Ref<flatbuffers::String>() : builder_.CreateString(s);
  }
  Ref<flatbuffers::Vector<std::int64_t>> exponents(const std::vector<int>& all) {
    if (all.empty()) return {};
    return builder_.CreateVector(std::vector<std::int64_t>(all.begin(), all.end()));
  }
  Ref<flatbuffers::Vector<float>> floats(const std::vector<float>& all);
  Ref<flatbuffers::Vector<std::uint8_t>> blocks(std::span<const std::byte> elements);
  Ref<fbs::Pair> pair(const std::string& key, const std::string& value);
  Ref<fbs::Opset> opset(const std::string& domain, std::int64_t version);
  Ref<fbs::Dimensions> dimensions(const Shape& shape);
  Ref<fbs::ValueInfo> value(const ValueInfo& v);
  Ref<fbs::Tensor> tensor(const Constant& c);
  Ref<fbs::Attribute> attribute(const std::string& name, const AttributeValue& value);
  Ref<fbs::Node> node(const Node& n);
  Ref<fbs::Graph> graph(const Model& model);

  template <typename Items, typename Encode>
  auto each(const Items& items, Encode encode) {
    std::vector<decltype(encode(*items.begin()))> refs;
    refs.reserve(items.size());
    for (const auto& item : items) refs.push_back(encode(item));
    return refs;
  }
  auto tensors(const std::vector<Constant>& all) {
    return builder_.CreateVector(each(all, [this](const Constant& c) { return tensor(c); }));
  }

  flatbuffers::FlatBufferBuilder builder_;
};

/// Four bytes off the multiples of 8, where decode_floats() never takes them for ESP-PPQ's float64.
Ref<flatbuffers::Vector<float>> Encoder::floats(const std::vector<float>& all) {
  builder_.ForceVectorAlignment(all.size() * sizeof(float) + 4, 1, 8);
  return builder_.CreateVector(all);
}

Ref<flatbuffers::Vector<std::uint8_t>> Encoder::blocks(std::span<const std::byte> elements) {
  static constexpr std::uint8_t kPadding[kBlockBytes] = {};
  const std::size_t padded = round_up(elements.size(), kBlockBytes);
  builder_.ForceVectorAlignment(padded, 1, kBlockBytes);
  builder_.StartVector(padded, 1);
  builder_.PushBytes(kPadding, padded - elements.size());  // built back to front
  builder_.PushBytes(reinterpret_cast<const std::uint8_t*>(elements.data()), elements.size());
  return builder_.EndVector(padded / kBlockBytes);
}

Ref<fbs::Pair> Encoder::pair(const std::string& key, const std::string& text) {
  const auto k = builder_.CreateString(key), v = builder_.CreateString(text);
  return fbs::CreatePair(builder_, k, v);
}

Ref<fbs::Opset> Encoder::opset(const std::string& domain, std::int64_t version) {
  return fbs::CreateOpset(builder_, optional_text(domain), version);
}

Ref<fbs::Dimensions> Encoder::dimensions(const Shape& shape) {
  return fbs::CreateDimensions(
      builder_, builder_.CreateVector(each(shape, [this](std::int64_t extent) {
        return fbs::CreateDimension(builder_,
                                    fbs::CreateExtent(builder_, fbs::ExtentKind::Value, extent));
      })));
}

Ref<fbs::ValueInfo> Encoder::value(const ValueInfo& v) {
  const auto element_type = encode_element_type(v.dtype, v.name);
  const auto tensor_type = fbs::CreateTensorType(builder_, element_type, dimensions(v.shape));
  const auto type = fbs::CreateTypeInfo(builder_, fbs::Type::tensor, tensor_type.Union());
  const auto name = builder_.CreateString(v.name);
  return fbs::CreateValueInfo(builder_, name, type, exponents(v.exponents));
}

Ref<fbs::Tensor> Encoder::tensor(const Constant& c) {
  const auto element_type = encode_element_type(c.data.dtype(), c.name);
  const auto dims = builder_.CreateVector(c.data.shape());
  const auto name = builder_.CreateString(c.name);
  const auto doc = optional_text(c.doc);
  const auto powers = exponents(c.exponents);
  // Where there are no elements, ESP-PPQ gives the list of the type instead of raw data.
  const bool empty = c.data.size() == 0;
  const bool floats_list = empty && c.data.dtype() == DType::Float32;
  const bool longs_list = empty && c.data.dtype() == DType::Int64;
  const auto no_floats = floats_list ? builder_.CreateVector(std::vector<float>()) : 0;
  const auto no_longs = longs_list ? builder_.CreateVector(Shape()) : 0;
  const auto data = empty ? 0 : blocks(c.data.bytes());
  fbs::TensorBuilder t(builder_);
  t.add_dims(dims);
  t.add_element_type(element_type);
  t.add_float_data(no_floats);
  t.add_int64_data(no_longs);
  t.add_name(name);
  t.add_doc(doc);
  t.add_raw_data(data);
  t.add_exponents(powers);
  return t.Finish();
}

Ref<fbs::Attribute> Encoder::attribute(const std::string& attribute_name,
                                       const AttributeValue& content) {
  const auto name = builder_.CreateString(attribute_name);
  const auto finish = [&](fbs::AttributeType type, auto add) {
    fbs::AttributeBuilder a(builder_);
    a.add_name(name);
    a.add_type(type);
    add(a);
    return a.Finish();
  };
  struct Visitor {
    Encoder& self;
    const decltype(finish)& done;

    Ref<fbs::Attribute> operator()(std::int64_t v) const {
      const fbs::IntValue stored(v);
      return done(fbs::AttributeType::Int, [&](auto& a) { a.add_i(&stored); });
    }
    Ref<fbs::Attribute> operator()(float v) const {
      const fbs::FloatValue stored(v);
      return done(fbs::AttributeType::Float, [&](auto& a) { a.add_f(&stored); });
    }
    Ref<fbs::Attribute> operator()(const std::string& v) const {
      const auto bytes =
          self.builder_.CreateVector(reinterpret_cast<const std::uint8_t*>(v.data()), v.size());
      return done(fbs::AttributeType::String, [&](auto& a) { a.add_s(bytes); });
    }
    Ref<fbs::Attribute> operator()(const Constant& v) const {
      const auto stored = self.tensor(v);
      return done(fbs::AttributeType::Tensor, [&](auto& a) { a.add_t(stored); });
    }
    Ref<fbs::Attribute> operator()(const std::vector<std::int64_t>& v) const {
      const auto list = self.builder_.CreateVector(v);
      return done(fbs::AttributeType::Ints, [&](auto& a) { a.add_ints(list); });
    }
    Ref<fbs::Attribute> operator()(const std::vector<float>& v) const {
      const auto list = self.floats(v);
      return done(fbs::AttributeType::Floats, [&](auto& a) { a.add_floats(list); });
    }
    Ref<fbs::Attribute> operator()(const std::vector<std::string>& v) const {
      const auto list = self.builder_.CreateVectorOfStrings(v);
      return done(fbs::AttributeType::Strings, [&](auto& a) { a.add_strings(list); });
    }
  };
  return std::visit(Visitor{*this, finish}, content);
}

Ref<fbs::Node> Encoder::node(const Node& n) {
  const auto inputs = builder_.CreateVectorOfStrings(n.inputs);
  const auto outputs = builder_.CreateVectorOfStrings(n.outputs);
  const auto attributes = builder_.CreateVector(
      each(n.attributes, [this](const auto& a) { return attribute(a.first, a.second); }));
  const auto name = optional_text(n.name);
  const auto op = builder_.CreateString(n.op);
  return fbs::CreateNode(builder_, inputs, outputs, name, op, attributes);
}

/// The inputs and outputs of the graph refer to entries of value_info.
Refs<fbs::ValueInfo> select(const std::vector<std::string>& names, const Model& model,
                            const ModelIndex& index, const Refs<fbs::ValueInfo>& values) {
  Refs<fbs::ValueInfo> selected;
  for (const auto& name : names) {
    const ValueInfo* v = index.value(name);
    if (!v)
      throw Error(ErrorCode::BadData, "an input or output of the graph without type and shape")
          .tensor(name);
    selected.push_back(values[static_cast<std::size_t>(v - model.values.data())]);
  }
  return selected;
}

Ref<fbs::Graph> Encoder::graph(const Model& model) {
  const ModelIndex index(model);
  const auto values = each(model.values, [this](const ValueInfo& v) { return value(v); });
  const auto nodes =
      builder_.CreateVector(each(model.nodes, [this](const Node& n) { return node(n); }));
  const auto name = builder_.CreateString(model.name);
  const auto initializers = tensors(model.initializers);
  const auto doc = optional_text(model.doc);
  const auto inputs = builder_.CreateVector(select(model.inputs, model, index, values));
  const auto outputs = builder_.CreateVector(select(model.outputs, model, index, values));
  const auto value_info = builder_.CreateVector(values);
  const auto test_inputs = tensors(model.test_inputs);
  const auto test_outputs = tensors(model.test_outputs);
  return fbs::CreateGraph(builder_, nodes, name, initializers, doc, inputs, outputs, value_info,
                          test_inputs, test_outputs);
}

std::span<const std::byte> Encoder::encode(const Model& model) {
  const auto opsets = builder_.CreateVector(
      each(model.opsets, [this](const auto& entry) { return opset(entry.first, entry.second); }));
  const auto producer = optional_text(model.producer);
  const auto producer_version = optional_text(model.producer_version);
  const auto root = graph(model);
  Ref<flatbuffers::Vector<Ref<fbs::Pair>>> metadata;
  if (!model.metadata.empty())
    metadata = builder_.CreateVector(each(
        model.metadata, [this](const auto& entry) { return pair(entry.first, entry.second); }));
  fbs::ModelBuilder m(builder_);
  m.add_ir_version(model.ir_version);
  m.add_opset_import(opsets);
  m.add_producer_name(producer);
  m.add_producer_version(producer_version);
  m.add_model_version(model.model_version);
  m.add_graph(root);
  m.add_metadata(metadata);
  builder_.Finish(m.Finish());
  return std::as_bytes(std::span(builder_.GetBufferPointer(), builder_.GetSize()));
}

std::size_t element_bytes(const Model& model) {
  std::size_t sum = 0;
  for (const auto* list : {&model.initializers, &model.test_inputs, &model.test_outputs})
    for (const auto& c : *list) sum += round_up(c.data.byte_size(), kBlockBytes);
  return sum;
}

}  // namespace

std::vector<std::byte> write_model(const Model& model, const WriteOptions& options) {
  constexpr std::size_t kStructure = std::size_t{1} << 16;
  constexpr std::size_t kLimit = std::numeric_limits<std::int32_t>::max() - (std::size_t{64} << 20);
  const std::size_t elements = element_bytes(model);
  if (elements > kLimit)
    throw Error(ErrorCode::BadData, "a model of more than 2 GiB does not fit the format");
  Encoder encoder(elements + kStructure);
  return seal(encoder.encode(model), Edition::Edl2, options.key);
}

}  // namespace espquant::espdl
