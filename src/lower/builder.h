#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "espdl/model.h"
#include "graph/graph.h"
#include "lower/lower.h"
#include "target/target.h"

namespace espquant::lower {

/// Stored axis i of a tensor is axis perm[i] of the network's value.
using Perm = std::vector<std::int64_t>;

Perm identity_perm(std::size_t rank);
/// N,H,W,C of N,C,H,W for any rank from 3 on.
Perm channels_last_perm(std::size_t rank);
Perm inverse(const Perm& perm);
/// Position of network axis `axis` in the stored tensor.
std::int64_t stored_axis(const Perm& perm, std::int64_t axis);
/// True when storing `shape` in either order gives the same elements in the same sequence.
bool same_order(const Shape& shape, const Perm& a, const Perm& b);

/// How the data of a value stand on the chip.
struct Stored {
  std::string name;
  Perm perm;
  DType dtype = DType::Undefined;
  int exponent = 0;
};

/// The espdl::Model under construction, and where each value of the Graph stands in it.
class Builder {
 public:
  Builder(const Graph& graph, const Target& target, const Options& options)
      : graph_(graph), target_(target), options_(options) {}

  const Graph& graph() const { return graph_; }
  const Target& target() const { return target_; }
  const Options& options() const { return options_; }
  espdl::Model& model() { return model_; }
  const std::set<RequantizedInput>& requantized() const { return requantized_; }

  /// What is written from now on stands for this node of the network.
  void begin(const Node& n) { current_ = n.name; }

  const Shape& shape(ValueId v) const;
  const Stored& stored(ValueId v) const;
  bool is_stored(ValueId v) const { return stored_.contains(v); }

  /// Name of the value's data in the order `perm`, inserting a Transpose where its present order
  /// differs.
  std::string read(ValueId v, const Perm& perm);
  /// The same, as an integer tensor of `quant`: requantized or quantized where it is not yet.
  std::string read_as(ValueId v, const Perm& perm, const TensorQuant& quant);
  /// The same, as float: dequantized where it is an integer.
  std::string read_float(ValueId v, const Perm& perm);

  /// Declares that a node writes value `v` in the order `perm`, as `quant` says or, without, as
  /// float. Returns its name.
  std::string define(ValueId v, const Perm& perm);
  /// The same as an integer tensor of `quant`, where the chip has it otherwise than the value says.
  std::string define_as(ValueId v, const Perm& perm, const TensorQuant& quant);
  std::string define_float(ValueId v, const Perm& perm);
  /// The same as bools, in place of 0 and 1.
  std::string define_bool(ValueId v, const Perm& perm);
  /// Writes the data of `from`, a value of shape `value_shape`, once more in the order `perm` under
  /// the name `out`.
  void write_reordered(const Stored& from, const Shape& value_shape, const Perm& perm,
                       const std::string& out);
  /// `v` is `source` seen with its axes in another order: nothing is written.
  void alias(ValueId v, ValueId source, Perm perm);

  /// `op` with `quant_type` set from `bits` (8, 16, or 0 for float).
  espdl::Node& node(std::string op, std::string name, std::vector<std::string> inputs,
                    std::vector<std::string> outputs, int bits);

  /// An integer tensor of `quant` that is none of the network's values. Returns its name.
  std::string declare(const std::string& base, Shape shape, const TensorQuant& quant);
  /// A node that writes such a tensor. Returns the tensor's name.
  std::string derive(const std::string& op, const std::string& base,
                     std::vector<std::string> inputs, Shape shape, const TensorQuant& quant,
                     std::map<std::string, espdl::AttributeValue> attributes = {});

  std::string constant(const std::string& name, Tensor data, std::vector<int> exponents,
                       std::string doc = "");
  /// The table of a function: one that has the same entries is taken again. Returns its name.
  std::string table(const std::string& base, Tensor data, int exponent);
  std::string constant_ints(const std::string& name, const std::vector<std::int64_t>& values);
  /// `input` with the scale and zero point of a Quantize-, Dequantize- or RequantizeLinear. The
  /// runtime goes by exponents; the others are there because its loader expects three inputs.
  std::vector<std::string> with_scale(std::string input, const std::string& base, float scale,
                                      DType dtype);
  /// Rounded to integers as `quant` says, in the target's rounding; `perm` reorders the axes of the
  /// stored tensor.
  Tensor quantized(const Tensor& real, const TensorQuant& quant) const;
  /// The network's constant `v` so rounded, as it stands. Returns its name.
  std::string quantized_constant(ValueId v, const TensorQuant& quant);

  /// Order of every activation under its own name.
  const Orders& orders() const { return orders_; }
  /// The value keeps the order of the image `shape` that it was flattened from: its readers (Gemms)
  /// permute their weights instead.
  void flatten(ValueId v, const Shape& shape, const Perm& perm);

  std::string unique_name(const std::string& base);

 private:
  std::string reordered(const Stored& from, const Shape& value_shape, const Perm& perm);
  std::string define_unscaled(ValueId v, const Perm& perm, DType dtype);
  void add_value(const std::string& name, DType dtype, Shape stored_shape, int exponent);

  const Graph& graph_;
  const Target& target_;
  Options options_;
  espdl::Model model_;
  std::map<ValueId, Stored> stored_;
  std::map<std::string, std::string> derived_;
  std::map<std::string, int> names_;
  /// Indices of initializers.
  std::vector<std::size_t> tables_;
  Orders orders_;
  std::string current_;
  std::set<RequantizedInput> requantized_;
};

}  // namespace espquant::lower
