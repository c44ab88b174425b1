#include "onnx/import_attributes.h"

#include <fmt/format.h>

#include "onnx/tensor_proto.h"
#include "onnx_schema.pb.h"

namespace espquant::onnx {
namespace {

/// The numbers of AttributeProto.AttributeType.
enum class Kind : int {
  Undefined = 0,
  Float = 1,
  Int = 2,
  String = 3,
  Tensor = 4,
  Graph = 5,
  Floats = 6,
  Ints = 7,
  Strings = 8,
  Tensors = 9,
  Graphs = 10,
};

/// Files older than IR version 2 leave the type out: the field that is filled tells it.
Kind kind_of(const onnx_schema::Attribute& a) {
  if (a.type() != 0) return static_cast<Kind>(a.type());
  if (a.has_g() || a.graphs_size() > 0) return Kind::Graph;
  if (a.has_f()) return Kind::Float;
  if (a.has_i()) return Kind::Int;
  if (a.has_s()) return Kind::String;
  if (a.has_t()) return Kind::Tensor;
  if (a.tensors_size() > 0) return Kind::Tensors;
  if (a.floats_size() > 0) return Kind::Floats;
  if (a.strings_size() > 0) return Kind::Strings;
  return Kind::Ints;
}

Tensor float32_if(Tensor tensor, bool float32_only) {
  return float32_only && is_float(tensor.dtype()) ? tensor.cast(DType::Float32) : tensor;
}

AttributeValue value_of(const onnx_schema::Attribute& a, const std::filesystem::path& folder,
                        bool float32_only) {
  if (!a.ref_attr_name().empty())
    throw Error(ErrorCode::Malformed,
                fmt::format("attribute '{}' refers to a function's parameter", a.name()));
  switch (kind_of(a)) {
    case Kind::Float:
      return a.f();
    case Kind::Int:
      return a.i();
    case Kind::String:
      return a.s();
    case Kind::Tensor:
      return float32_if(tensor_from_message(a.t(), folder), float32_only);
    case Kind::Floats:
      return std::vector<float>(a.floats().begin(), a.floats().end());
    case Kind::Ints:
      return std::vector<std::int64_t>(a.ints().begin(), a.ints().end());
    case Kind::Strings:
      return std::vector<std::string>(a.strings().begin(), a.strings().end());
    case Kind::Graph:
    case Kind::Graphs:
      throw Error(ErrorCode::Unsupported,
                  fmt::format("has a sub-graph as its attribute '{}'", a.name()))
          .remedy(
              "control flow (If, Loop, Scan) cannot run on the chip; export the model with it "
              "resolved");
    case Kind::Undefined:
    case Kind::Tensors:
      break;
  }
  throw Error(ErrorCode::Unsupported,
              fmt::format("attribute '{}' is of type number {}", a.name(), a.type()));
}

bool names_a_dtype(const onnx_schema::Node& node, const std::string& attribute) {
  return (node.op_type() == "Cast" && attribute == "to") || attribute == "dtype";
}

}  // namespace

Attributes read_attributes(const onnx_schema::Node& node, const std::filesystem::path& folder,
                           bool float32_only) {
  Attributes attributes;
  for (const auto& a : node.attribute()) {
    if (a.name().empty()) throw Error(ErrorCode::Malformed, "an attribute has no name");
    if (attributes.has(a.name()))
      throw Error(ErrorCode::Malformed, fmt::format("attribute '{}' twice", a.name()));
    AttributeValue value = value_of(a, folder, float32_only);
    if (auto* number = std::get_if<std::int64_t>(&value);
        number != nullptr && float32_only && names_a_dtype(node, a.name()))
      if (*number >= 0 && *number <= 16 &&
          is_float(dtype_from_onnx(static_cast<std::int32_t>(*number))))
        *number = static_cast<std::int64_t>(DType::Float32);
    attributes.set(a.name(), std::move(value));
  }
  return attributes;
}

Tensor constant_of(const onnx_schema::Attribute& a, const std::filesystem::path& folder,
                   bool float32_only) {
  if (a.name() == "sparse_value")
    throw Error(ErrorCode::Unsupported, "is a sparse constant")
        .remedy("store it as a dense tensor");
  AttributeValue value = value_of(a, folder, float32_only);
  if (a.name() == "value" && std::holds_alternative<Tensor>(value))
    return std::get<Tensor>(std::move(value));
  if (a.name() == "value_int" && std::holds_alternative<std::int64_t>(value))
    return Tensor::scalar(std::get<std::int64_t>(value));
  if (a.name() == "value_float" && std::holds_alternative<float>(value))
    return Tensor::scalar(std::get<float>(value));
  if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&value);
      ints != nullptr && a.name() == "value_ints")
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(ints->size())}, *ints);
  if (const auto* floats = std::get_if<std::vector<float>>(&value);
      floats != nullptr && a.name() == "value_floats")
    return Tensor::of<float>({static_cast<std::int64_t>(floats->size())}, *floats);
  if (a.name() == "value_string" || a.name() == "value_strings")
    throw Error(ErrorCode::Unsupported, "is a constant of strings")
        .remedy("remove text processing from the model");
  throw Error(ErrorCode::Malformed,
              fmt::format("attribute '{}' is none that a Constant has", a.name()));
}

}  // namespace espquant::onnx
