#pragma once

#include <functional>
#include <map>
#include <span>

#include "graph/graph.h"

namespace espquant::train {

struct ReferenceGradients {
  std::vector<Tensor> outputs;
  /// Of the values that were asked for; none for those that the outputs do not depend on.
  std::map<ValueId, Tensor> gradients;
};

/// Reverse mode over a whole Graph by the operators' reference kernels, in float or, where inputs
/// and constants are, in double: what every faster way is held to. `seeds` gives the gradients of
/// the outputs. Throws as ops::run_node and ops::run_gradient.
ReferenceGradients differentiate(
    const Graph& graph, std::span<const Tensor> inputs,
    const std::function<std::vector<Tensor>(std::span<const Tensor> outputs)>& seeds,
    std::span<const ValueId> wanted);

}  // namespace espquant::train
