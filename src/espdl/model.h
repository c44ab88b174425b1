#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/tensor.h"

/// What the chip executes: the content of an .espdl file (ESP-DL reference sections 1 and 4).
namespace espquant::espdl {

/// Name, type and place on the number line of a tensor. Shapes are in ESP-DL's layout (N,H,W,C).
struct ValueInfo {
  std::string name;
  DType dtype = DType::Undefined;
  Shape shape;
  /// Real value = q * 2^exponent. One entry, or one per output channel. Empty in files that give
  /// none: 0.
  std::vector<int> exponents;

  int exponent() const { return exponents.empty() ? 0 : exponents.front(); }
  bool operator==(const ValueInfo&) const = default;
};

/// A tensor with its elements: a parameter, a table or a test value. Filters are stored in the
/// physical order of the target (reference 4.1), which the dims do not describe.
struct Constant {
  std::string name;
  Tensor data;
  std::vector<int> exponents;
  /// "layout ==> (N/16)HWC16" and the like.
  std::string doc;

  int exponent() const { return exponents.empty() ? 0 : exponents.front(); }
  /// Bit for bit.
  bool operator==(const Constant& other) const {
    return name == other.name && data.equals(other.data) && exponents == other.exponents &&
           doc == other.doc;
  }
};

using AttributeValue =
    std::variant<std::int64_t, float, std::string, Constant, std::vector<std::int64_t>,
                 std::vector<float>, std::vector<std::string>>;

struct Node {
  std::string name;
  std::string op;
  /// Names of tensors; "" for an optional input that is not given.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, AttributeValue, std::less<>> attributes;

  bool has(std::string_view attribute) const { return attributes.contains(attribute); }
  /// The getters throw Error(Malformed) with the node's name when the attribute has another type.
  std::int64_t get_int(std::string_view attribute, std::int64_t otherwise) const;
  float get_float(std::string_view attribute, float otherwise) const;
  std::string get_string(std::string_view attribute, std::string_view otherwise) const;
  std::vector<std::int64_t> get_ints(std::string_view attribute,
                                     std::vector<std::int64_t> otherwise = {}) const;
  std::vector<float> get_floats(std::string_view attribute,
                                std::vector<float> otherwise = {}) const;
  bool operator==(const Node&) const = default;

 private:
  template <typename T>
  const T* find(std::string_view attribute) const;
};

/// The quant_type of a Conv, Gemm or MatMul of int8 weights and int16 activations (ESP-DL 3.3.11).
inline constexpr std::string_view kW8A16 = "W8A16";

/// The quant_type of every other node, by the elements that it computes with.
constexpr std::string_view quant_type_of(DType dtype) {
  return dtype == DType::Int8 ? "S8" : dtype == DType::Int16 ? "S16" : "F32";
}

struct Model {
  /// Of the graph.
  std::string name;
  std::string producer;
  std::string producer_version;
  std::string doc;
  std::int32_t ir_version = 8;
  std::int64_t model_version = 0;
  std::vector<std::pair<std::string, std::int64_t>> opsets;
  std::vector<std::pair<std::string, std::string>> metadata;

  /// In order of execution.
  std::vector<Node> nodes;
  std::vector<Constant> initializers;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  /// Every activation, inputs and outputs included.
  std::vector<ValueInfo> values;
  std::vector<Constant> test_inputs;
  std::vector<Constant> test_outputs;

  /// Null when there is none. Linear: build an index for repeated use.
  const ValueInfo* find_value(std::string_view tensor) const;
  const Constant* find_initializer(std::string_view tensor) const;
  std::string metadata_value(std::string_view key, std::string_view otherwise = "") const;
};

}  // namespace espquant::espdl
