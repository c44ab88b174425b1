#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "graph/graph.h"

/// The operands of a Concat, followed to the layers that read them.
namespace espquant::quant {

/// Of the result of a Concat: for each element the number of the operand that it comes from, from
/// 1 on.
Tensor part_labels(const Graph& graph, const Node& concat);

/// What a node makes of the labels of one of its inputs, one tensor for each output; nothing where
/// it is not looked through.
using MoveLabels = std::function<std::optional<std::vector<Tensor>>(
    const Node& n, std::size_t input, const Tensor& labels)>;

/// Of the first input of nodes that move data (Reshape, Slice, Gather, MaxPool, ...) by constants
/// alone. What they put
/// in between is 0.
std::optional<std::vector<Tensor>> moved_labels(const Graph& graph, const Node& n,
                                                std::size_t input, const Tensor& labels);

/// Calls visit(reader, value, labels) for each node behind `v` that `move` does not look through,
/// with what it reads of it; with kNone in place of the reader for what is an output of the
/// network, or read by nobody.
void follow_labels(const Graph& graph, ValueId v, Tensor labels, const MoveLabels& move,
                   const std::function<void(NodeId, ValueId, const Tensor&)>& visit);

/// Which input of a weighted layer each of its weights multiplies: a channel of a convolution, else
/// a feature.
class WeightColumns {
 public:
  WeightColumns(const Graph& graph, const Node& n);
  std::size_t count() const { return count_; }
  std::size_t operator()(std::size_t i) const {
    const std::size_t group = i / (behind_ * each_) / rows_per_group_;
    return (i / behind_ % each_ + group * each_) % count_;
  }

 private:
  std::size_t behind_ = 1, each_ = 1, count_ = 0;
  std::size_t rows_per_group_ = std::numeric_limits<std::size_t>::max();
};

/// Sum of squares of what each input of a weighted layer is multiplied by.
std::vector<double> column_weights(const Graph& graph, const Node& n);

/// The column of the weights that element `i` of the layer's input of that shape meets.
class ColumnOf {
 public:
  ColumnOf(const Node& n, const Shape& input, std::size_t columns);
  std::size_t operator()(std::size_t i) const { return i / behind_ % columns_; }

 private:
  std::size_t behind_ = 1, columns_ = 1;
};

}  // namespace espquant::quant
