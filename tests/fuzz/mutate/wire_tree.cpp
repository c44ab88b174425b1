#include "tests/fuzz/mutate/wire_tree.h"

#include <algorithm>
#include <array>

namespace espquant::test {
namespace {

constexpr std::array kFields = {
    FieldFacts{Message::Model, 7, Message::Graph},
    FieldFacts{Message::Model, 8, Message::OperatorSet},
    FieldFacts{Message::Model, 25, Message::Function},
    FieldFacts{Message::Graph, 1, Message::Node},
    FieldFacts{Message::Graph, 5, Message::Tensor},
    FieldFacts{Message::Graph, 11, Message::ValueInfo},
    FieldFacts{Message::Graph, 12, Message::ValueInfo},
    FieldFacts{Message::Graph, 13, Message::ValueInfo},
    FieldFacts{Message::Node, 1, {}, Leaf::Value},
    FieldFacts{Message::Node, 2, {}, Leaf::Value},
    FieldFacts{Message::Node, 3, {}, Leaf::Value},
    FieldFacts{Message::Node, 4, {}, Leaf::Operator},
    FieldFacts{Message::Node, 5, Message::Attribute},
    FieldFacts{Message::Node, 7, {}, Leaf::Domain},
    FieldFacts{Message::Attribute, 1, {}, Leaf::Attribute},
    FieldFacts{Message::Attribute, 2, {}, Leaf::Float},
    FieldFacts{Message::Attribute, 3, {}, Leaf::Count},
    FieldFacts{Message::Attribute, 4, {}, Leaf::Raw},
    FieldFacts{Message::Attribute, 5, Message::Tensor},
    FieldFacts{Message::Attribute, 6, Message::Graph},
    FieldFacts{Message::Attribute, 7, {}, Leaf::Float},
    FieldFacts{Message::Attribute, 8, {}, Leaf::Count},
    FieldFacts{Message::Attribute, 9, {}, Leaf::Raw},
    FieldFacts{Message::Attribute, 20, {}, Leaf::Choice},
    FieldFacts{Message::Attribute, 21, {}, Leaf::Attribute},
    FieldFacts{Message::Tensor, 1, {}, Leaf::Count},
    FieldFacts{Message::Tensor, 2, {}, Leaf::Choice},
    FieldFacts{Message::Tensor, 4, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 5, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 7, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 8, {}, Leaf::Value},
    FieldFacts{Message::Tensor, 9, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 10, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 11, {}, Leaf::Raw},
    FieldFacts{Message::Tensor, 13, Message::StringPair},
    FieldFacts{Message::Tensor, 14, {}, Leaf::Choice},
    FieldFacts{Message::ValueInfo, 1, {}, Leaf::Value},
    FieldFacts{Message::ValueInfo, 2, Message::Type},
    FieldFacts{Message::Type, 1, Message::TensorType},
    FieldFacts{Message::TensorType, 1, {}, Leaf::Choice},
    FieldFacts{Message::TensorType, 2, Message::Shape},
    FieldFacts{Message::Shape, 1, Message::Dimension},
    FieldFacts{Message::Dimension, 1, {}, Leaf::Count},
    FieldFacts{Message::Dimension, 2, {}, Leaf::Other},
    FieldFacts{Message::OperatorSet, 1, {}, Leaf::Domain},
    FieldFacts{Message::OperatorSet, 2, {}, Leaf::Count},
    FieldFacts{Message::Function, 1, {}, Leaf::Operator},
    FieldFacts{Message::Function, 4, {}, Leaf::Value},
    FieldFacts{Message::Function, 5, {}, Leaf::Value},
    FieldFacts{Message::Function, 6, {}, Leaf::Attribute},
    FieldFacts{Message::Function, 7, Message::Node},
    FieldFacts{Message::Function, 10, {}, Leaf::Domain},
    FieldFacts{Message::Function, 11, Message::Attribute},
    FieldFacts{Message::StringPair, 1, {}, Leaf::Other},
    FieldFacts{Message::StringPair, 2, {}, Leaf::Other},
};

const FieldFacts* facts_of(Message in, std::uint32_t number) {
  const auto found = std::find_if(kFields.begin(), kFields.end(), [&](const FieldFacts& f) {
    return f.in == in && f.number == number;
  });
  return found == kFields.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> read_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

void write_varint(std::string& to, std::uint64_t value) {
  for (; value > 0x7F; value >>= 7) to.push_back(static_cast<char>((value & 0x7F) | 0x80));
  to.push_back(static_cast<char>(value));
}

}  // namespace

std::span<const FieldFacts> known_fields() { return kFields; }

std::optional<std::vector<WireField>> parse_wire(std::string_view bytes, Message message) {
  std::vector<WireField> fields;
  while (!bytes.empty()) {
    const auto key = read_varint(bytes);
    if (!key) return std::nullopt;
    WireField& field = fields.emplace_back();
    field.number = static_cast<std::uint32_t>(*key >> 3);
    field.wire = static_cast<std::uint32_t>(*key & 7);
    field.facts = facts_of(message, field.number);
    std::optional<std::uint64_t> length;
    switch (field.wire) {
      case 0:
        if (const auto value = read_varint(bytes))
          field.value = *value;
        else
          return std::nullopt;
        continue;
      case 1:
        length = 8;
        break;
      case 2:
        length = read_varint(bytes);
        break;
      case 5:
        length = 4;
        break;
      default:
        return std::nullopt;
    }
    if (!length || *length > bytes.size()) return std::nullopt;
    const std::string_view content = bytes.substr(0, *length);
    bytes.remove_prefix(*length);
    if (field.wire == 2 && field.facts != nullptr && field.facts->message) {
      auto inner = parse_wire(content, *field.facts->message);
      if (!inner) return std::nullopt;
      field.fields = std::move(*inner);
    } else {
      field.text = content;
    }
  }
  return fields;
}

std::string wire_bytes(const std::vector<WireField>& fields) {
  std::string bytes;
  for (const WireField& field : fields) {
    write_varint(bytes, std::uint64_t{field.number} << 3 | field.wire);
    if (field.wire == 0) {
      write_varint(bytes, field.value);
      continue;
    }
    const bool message = field.wire == 2 && field.facts != nullptr && field.facts->message;
    const std::string content = message ? wire_bytes(field.fields) : field.text;
    if (field.wire == 2) write_varint(bytes, content.size());
    bytes += content;
  }
  return bytes;
}

}  // namespace espquant::test
