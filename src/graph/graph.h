#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/tensor.h"

namespace espquant {

using ValueId = std::int32_t;
using NodeId = std::int32_t;
inline constexpr std::int32_t kNone = -1;

/// How a tensor is quantized: q in `bits` bits stands for q * 2^exponent. No zero points.
struct TensorQuant {
  int bits = 8;
  /// One exponent, or one per index of `axis`.
  std::vector<int> exponents;
  int axis = -1;

  bool per_channel() const { return exponents.size() > 1; }
  int exponent() const { return exponents.at(0); }
  int max_q() const { return static_cast<int>((std::int64_t{1} << (bits - 1)) - 1); }
  bool operator==(const TensorQuant&) const = default;
};

using AttributeValue =
    std::variant<std::int64_t, float, std::string, Tensor, std::vector<std::int64_t>,
                 std::vector<float>, std::vector<std::string>>;

/// A node's attributes by name. The getters take the ONNX default; a present attribute of another
/// type throws Error(Malformed).
class Attributes {
 public:
  bool has(std::string_view name) const { return values_.contains(name); }
  void set(std::string name, AttributeValue value) {
    values_.insert_or_assign(std::move(name), std::move(value));
  }
  void erase(std::string_view name);

  std::int64_t get_int(std::string_view name, std::int64_t otherwise) const;
  float get_float(std::string_view name, float otherwise) const;
  std::string get_string(std::string_view name, std::string_view otherwise) const;
  std::vector<std::int64_t> get_ints(std::string_view name,
                                     std::vector<std::int64_t> otherwise = {}) const;
  std::vector<float> get_floats(std::string_view name, std::vector<float> otherwise = {}) const;
  std::vector<std::string> get_strings(std::string_view name) const;
  /// Null when absent.
  const Tensor* get_tensor(std::string_view name) const;

  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  std::size_t size() const { return values_.size(); }

 private:
  template <typename T>
  const T* find(std::string_view name) const;

  std::map<std::string, AttributeValue, std::less<>> values_;
};

/// An edge of the graph: an activation, or a constant when `constant` is defined.
struct Value {
  std::string name;
  DType dtype = DType::Float32;
  std::optional<Shape> shape;
  Tensor constant;
  /// Of an input of whole numbers that the network takes as float32: its type in the file.
  DType given = DType::Undefined;
  /// What a network that was quantized before gave its integers to reach from and to.
  std::optional<std::pair<float, float>> stated_range;
  NodeId producer = kNone;
  /// One entry per use: a node that reads the value twice is listed twice.
  std::vector<NodeId> consumers;
  std::optional<TensorQuant> quant;
  /// The value as readers of the other width take it: requantized on the way.
  std::optional<TensorQuant> requant;

  /// How a reader of this width sees the value; empty where it is float.
  const std::optional<TensorQuant>& quant_at(int bits) const {
    return requant && requant->bits == bits ? requant : quant;
  }
  bool is_constant() const { return constant.defined(); }
};

struct Node {
  std::string name;
  std::string op;
  std::string domain;
  /// kNone stands for an optional input that is not given.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attributes attributes;
  /// Itself, or of a node that a rewrite added, the node in whose place it stands.
  NodeId origin = kNone;
  bool alive = true;

  ValueId input(std::size_t i) const { return i < inputs.size() ? inputs[i] : kNone; }
};

/// What a network means: nodes of ONNX operators over values in ONNX's layout (N,C,H,W). A value
/// type: copies are independent, their constants shared until written. Ids stay valid while nodes
/// come and go.
class Graph {
 public:
  std::string name;
  /// Of the default domain; decides the meaning of operators that changed.
  std::int64_t opset = 17;

  ValueId add_value(std::string name, DType dtype, std::optional<Shape> shape = std::nullopt);
  ValueId add_constant(std::string name, Tensor data);
  /// Values named in `outputs` must have no producer yet. Between rewriting(n) and
  /// rewriting(kNone) the node's origin is that of n.
  NodeId add_node(std::string op, std::string name, std::vector<ValueId> inputs,
                  std::vector<ValueId> outputs, Attributes attributes = {});
  void rewriting(NodeId n) { rewritten_ = n; }
  void add_input(ValueId v) { inputs_.push_back(v); }
  void add_output(ValueId v) { outputs_.push_back(v); }
  void set_outputs(std::vector<ValueId> outputs) { outputs_ = std::move(outputs); }

  const Value& value(ValueId v) const { return values_.at(static_cast<std::size_t>(v)); }
  Value& value(ValueId v) { return values_.at(static_cast<std::size_t>(v)); }
  const Node& node(NodeId n) const { return nodes_.at(static_cast<std::size_t>(n)); }
  Node& node(NodeId n) { return nodes_.at(static_cast<std::size_t>(n)); }
  std::size_t value_count() const { return values_.size(); }
  std::size_t node_count() const { return nodes_.size(); }

  std::span<const ValueId> inputs() const { return inputs_; }
  std::span<const ValueId> outputs() const { return outputs_; }
  bool is_input(ValueId v) const;
  bool is_output(ValueId v) const;

  /// kNone when there is no such value.
  ValueId find_value(std::string_view name) const;

  /// Redirects input `index` of a node; kNone removes the input. The input list grows as needed.
  void set_input(NodeId n, std::size_t index, ValueId v);
  /// Every reader of `from`, and the graph's outputs, read `to` instead.
  void replace_uses(ValueId from, ValueId to);
  /// Makes `n` produce `v` as its output `index` in place of what it produced, and frees `v` of its
  /// old producer.
  void take_output(NodeId n, std::size_t index, ValueId v);
  void remove_node(NodeId n);
  /// Removes nodes whose results nobody reads, and forgets constants without readers.
  void remove_dead();

  /// Living nodes, producers before consumers; stable: ties in insertion order. Throws
  /// Error(Malformed) on a cycle.
  std::vector<NodeId> topological_order() const;

  /// Names not yet taken, derived from `base`.
  std::string unique_value_name(std::string_view base) const;
  std::string unique_node_name(std::string_view base) const;

 private:
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_, outputs_;
  std::map<std::string, ValueId, std::less<>> by_name_;
  std::set<std::string, std::less<>> node_names_;
  NodeId rewritten_ = kNone;
};

/// Checks the graph's own consistency: links both ways, one producer per value, no cycle, inputs
/// and outputs present. `after` names the pass that is to blame. Throws Error(Internal).
void verify(const Graph& graph, std::string_view after);

/// One line per node, for logs and tests.
std::string print(const Graph& graph);

}  // namespace espquant
