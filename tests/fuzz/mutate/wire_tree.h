#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Protocol Buffers as a tree of fields, by the schema of ONNX.
namespace espquant::test {

enum class Message : std::uint8_t {
  Model,
  Graph,
  Node,
  Attribute,
  Tensor,
  ValueInfo,
  Type,
  TensorType,
  Shape,
  Dimension,
  OperatorSet,
  Function,
  StringPair,
};

/// What a field that is no message holds.
enum class Leaf : std::uint8_t {
  Other,
  Value,      ///< the name of a value
  Operator,   ///< of a node
  Attribute,  ///< the name of one
  Domain,
  Count,   ///< an extent, an axis, a whole number
  Choice,  ///< a type or another small number of a list
  Float,
  Raw,
};

/// A field that a message may have: a message itself, or a leaf.
struct FieldFacts {
  Message in;
  std::uint32_t number;
  std::optional<Message> message;
  Leaf leaf = Leaf::Other;
};
std::span<const FieldFacts> known_fields();

struct WireField {
  const FieldFacts* facts = nullptr;  ///< null for a field that the schema has not
  std::uint32_t number = 0;
  /// 0 a varint, 1 and 5 fixed, 2 by its length.
  std::uint32_t wire = 0;
  std::uint64_t value = 0;
  std::string text;
  std::vector<WireField> fields;  ///< of a message
};

/// Nothing where the bytes are no such message.
std::optional<std::vector<WireField>> parse_wire(std::string_view bytes, Message message);
std::string wire_bytes(const std::vector<WireField>& fields);

}  // namespace espquant::test
