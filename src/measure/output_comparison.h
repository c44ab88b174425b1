#pragma once

#include <vector>

#include "graph/graph.h"
#include "measure/layer_noise.h"

namespace espquant::measure {

/// Compares what candidates put out with what the float network does.
///
/// Probabilities that a Softmax makes are compared as the scores before it, up to the constant that
/// it takes out: behind it, the few samples of a comparison that are undecided outweigh all others.
class OutputComparison {
 public:
  explicit OutputComparison(const Graph& network);

  /// One sample's outputs, all of them.
  void add(std::span<const Tensor> actual, std::span<const Tensor> expected, Noise& into) const;

 private:
  /// By output.
  std::vector<bool> probabilities_;
};

}  // namespace espquant::measure
