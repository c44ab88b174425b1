#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "espdl/model.h"
#include "graph/graph.h"
#include "ops/op.h"
#include "target/target.h"

/// From what a network means to what the chip executes.
namespace espquant::lower {

/// Where the elements of a network's value stand on the chip.
struct Order {
  /// Of the value's name; another's where the value is that one seen in another order.
  std::string tensor;
  /// The value's own shape; of a flattened image that kept its order, the image's (N,C,H,W).
  Shape shape;
  /// Stored axis i is axis perm[i] of `shape`.
  std::vector<std::int64_t> perm;

  bool is_natural() const;
  /// Axes 0, 2, 3, ..., 1 of a value of that shape.
  bool is_channels_last(const Shape& value) const;
  /// From the network's order to the chip's, and back.
  Tensor stored(const Tensor& value) const;
  Tensor network(std::span<const float> stored, const Shape& value) const;
};
/// By the value's name, for each activation of the network that the chip has.
using Orders = std::map<std::string, Order>;

/// A node of the network and a value that it reads at another exponent than it was written with.
using RequantizedInput = std::pair<std::string, std::string>;

struct Options {
  /// A function of 16 bits that the runtime looks up in a table may have fewer entries than there
  /// are integers, as long as that makes no more noise than this of its signal: over the whole
  /// range of the input, and over the eighth of it around zero.
  double table_error = 5e-6;
  /// Where given, takes nodes that are refused: lowering goes on as if they had been written, and
  /// the model is of use to nobody.
  std::vector<ops::NodeRefusal>* refused = nullptr;
  /// Written even where the exponents happen to be equal: banks of exponents share their nodes.
  std::set<RequantizedInput> requantized = {};
};

struct Lowered {
  espdl::Model model;
  Orders orders;
  /// Where exponents met that differ.
  std::set<RequantizedInput> requantized;
};

/// Lowers a quantized Graph (a TensorQuant on every integer tensor) for `target`: activations in
/// N,H,W,C, filters in the chip's order, tables for unary operators, requantize nodes where
/// exponents meet. Transposes are lazy: a value keeps the order it was computed in until a reader
/// needs another. Inputs that nobody reads are left out. Throws Error(Illegal) or
/// Error(Unsupported) with the node's name, the rule and a remedy for what the chip cannot run
/// correctly.
Lowered lower(const Graph& graph, const Target& target, const Options& options = {});

/// Inputs of the network that no node reads and that are no outputs. They are left out of the
/// model: the runtime makes no tensor for them, and would write to it all the same (ESP-DL 1.5).
std::vector<ValueId> unread_inputs(const Graph& graph);

/// The integers that the chip gets for the bias (input 2) of a Conv or Gemm of a quantized Graph.
/// Throws Error(Illegal) where its field cannot hold them.
Tensor lower_bias(const Graph& graph, const Node& n, const Target& target);

/// The same for its weights (input 1), or those of a MatMul, packed as the chip reads them.
Tensor lower_filter(const Graph& graph, const Node& n, const Target& target, const Orders& orders);

/// Where the elements stand of what a Conv, Gemm or MatMul reads, lowered to `lowered`: a
/// requantized or reordered copy of its input has a tensor of its own.
Order input_order(const Graph& graph, const Node& n, const Orders& orders,
                  const espdl::Node& lowered);

/// The operators that can be lowered.
std::vector<std::string> supported_operators();

/// Nodes for which the chip has no operator, and such that make an input of whole numbers useless.
std::vector<ops::NodeRefusal> refused_nodes(const Graph& graph);

/// Throws Error(Unsupported) that lists every node for which the chip has no operator, or for an
/// input that the network computes with as whole numbers.
void require_operators(const Graph& graph);

/// Metadata key under which the order of a graph input's or output's axes is written ("0,2,3,1":
/// stored axis i is axis perm[i] of the network).
std::string layout_key(std::string_view tensor);

/// Metadata key of the type that an input of whole numbers had in the network (uint8, int64, ...).
std::string type_key(std::string_view tensor);

}  // namespace espquant::lower
