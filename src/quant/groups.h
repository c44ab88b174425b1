#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace espquant::quant {

/// Disjoint sets of values.
class ValueSets {
 public:
  explicit ValueSets(std::size_t count);

  std::size_t size() const { return parent_.size(); }
  ValueId find(ValueId v) const;
  void join(ValueId a, ValueId b);
  /// Members of every set that has at least one, by representative; representatives and members
  /// ascending.
  std::vector<std::vector<ValueId>> members() const;

 private:
  /// Puts all on the way from `v` right under its representative.
  void shorten(ValueId v);

  std::vector<ValueId> parent_;
};

/// True for float activations: what gets an exponent.
bool is_quantizable(const Graph& graph, ValueId v);

/// The first output of a node that gets an exponent; kNone where none does. Others of the same node
/// may have no name: the hidden states of an LSTM.
ValueId first_rounded_output(const Graph& graph, const Node& n);

/// The Relu or Clip that alone reads the output of `n`, so that the chip never shows the value
/// between them; kNone when there is none. Conv, Gemm and MatMul take a ReLU as their `activation`;
/// in any case both values share an exponent.
NodeId following_activation(const Graph& graph, NodeId n);

/// The function of one tensor (Sigmoid, HardSwish, ...; Relu and Clip, too) that alone reads the
/// output of `n`; kNone when there is none.
NodeId following_function(const Graph& graph, NodeId n);

/// Lower and upper bound of a Clip whose bounds are constant; a missing bound is infinite. Nullopt
/// where one is computed.
struct ClipBounds {
  float min, max;
};
std::optional<ClipBounds> clip_bounds(const Graph& graph, const Node& clip);

/// As what both operands of a comparison are read, whose integers are compared (ESP-DL 3.15): in
/// the widest and coarsest of its activations.
TensorQuant compared_quant(const Graph& graph, const Node& comparison);

/// Conv, Gemm, ConvTranspose, or MatMul by one constant matrix: weights at input 1, an optional
/// bias at input 2.
bool is_weighted(const Graph& graph, const Node& n);

/// Sets of values that must have the same exponent on the chip: what only moves data, an activation
/// and what it acts on, the operands and the result of Add, Sub and Concat where an operand has no
/// other reader (of Concat unless keeps_operands_apart()), the hidden states of an LSTM or GRU.
ValueSets exponent_groups(const Graph& graph);

/// Sets of values that may be multiplied by one common positive factor without changing the
/// network, if the weights around are divided by it; `fixed[v]` for representatives of sets that
/// may not.
struct ScaleGroups {
  ValueSets sets;
  std::vector<bool> fixed;
};
ScaleGroups scale_groups(const Graph& graph);

}  // namespace espquant::quant
