#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

/// Constants in front of a Softmax that decide which of its scores count: a causal mask, padding.
namespace espquant::passes {

/// A constant that is lower by this than another of its row masks: exp(-80) is nothing beside 1.
inline constexpr float kMasked = 80;

/// Where a constant is added to scores.
struct MaskPlace {
  NodeId softmax = kNone;
  /// An Add or Sub with a constant, or a Where with a constant condition and one constant choice,
  /// whose result reaches only the Softmax, through nodes that move it, scale it or add to it.
  NodeId node = kNone;
  ValueId data = kNone;
  /// What the Softmax sees is this times what the node puts out.
  float factor = 1;
  /// The nodes that move it on its way, from the Softmax upwards.
  std::vector<NodeId> path;
};

/// Every such place in front of a Softmax, those nearest to it first.
std::vector<MaskPlace> mask_places(const Graph& graph, NodeId softmax);

/// What stands there.
struct SoftmaxMask {
  NodeId softmax = kNone, node = kNone;
  ValueId data = kNone;
  float factor = 1;
  /// The shape of the constant (for a Where, of condition and choice together).
  Shape shape;
  /// What the constant adds to the score, as the Softmax sees it; one per element of `shape`. Of a
  /// Where: 0 where the data pass.
  std::vector<float> added;
  /// Of a Where: whether the data pass. Else all true.
  std::vector<bool> passes;
  /// For each element that the Softmax reads, the element of `shape` that masks it.
  std::vector<std::int32_t> element_at;
};

/// The rows of a Softmax: count * row_length positions of its input.
struct SoftmaxRows {
  std::int64_t count = 0, length = 0, inner = 1;

  std::int64_t at(std::int64_t row, std::int64_t i) const {
    return (row / inner * length + i) * inner + row % inner;
  }
};
SoftmaxRows softmax_rows(const Graph& graph, const Node& softmax);

/// Nothing where the constant is none of float numbers, or has no element for each score. As large
/// as the scores: not to be kept.
std::optional<SoftmaxMask> mask_at(const Graph& graph, const MaskPlace& place);

}  // namespace espquant::passes
