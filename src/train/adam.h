#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace espquant::train {

/// Adam (Kingma and Ba 2015) whose steps are measured by what is usual for each tensor: a rate of
/// 0.01 moves a weight by at most about a hundredth of its tensor's size. So one rate serves layers
/// whose weights differ a thousandfold, as folded BatchNormalization makes them, and weights on a
/// grid as well, where the size is the grid's step.
class Adam {
 public:
  Adam(std::span<const Tensor> parameters, std::vector<float> sizes);

  /// Moves `parameters` against `gradients`, which are sums or means over a batch: their common
  /// factor does not matter.
  void update(std::span<Tensor> parameters, std::span<const std::vector<float>> gradients,
              float rate);

 private:
  std::vector<float> sizes_;
  std::vector<std::vector<float>> mean_, square_;
  std::int64_t steps_ = 0;
};

/// From `rate` down to nothing along a cosine (Loshchilov and Hutter 2017), after a short rise.
float cosine_rate(float rate, std::int64_t step, std::int64_t steps);

/// Weights and biases of Conv, ConvTranspose, Gemm and MatMul that are constants.
std::vector<ValueId> weights_of(const Graph& graph);

/// What is usual for the elements of each: the root of the mean square of weights; of a bias, a
/// part of what its layer's weights add up to.
std::vector<float> usual_sizes(const Graph& graph, std::span<const ValueId> parameters);

}  // namespace espquant::train
