#pragma once

#include <map>
#include <span>
#include <vector>

#include "calib/calibrate.h"
#include "quant/groups.h"

namespace espquant::quant {

/// What the weights of a filter multiply, over output positions and samples: means, and means of
/// squares. [Cin][taps] for a Conv (zero under padding), [K] for Gemm and MatMul.
struct InputMeans {
  std::vector<double> mean, mean_square;
};
using LayerInputs = std::map<NodeId, InputMeans>;

/// The weighted layers whose inputs' means are asked for.
std::vector<NodeId> followed_layers(const Graph& graph, std::span<const calib::Request> requests);

/// Of these, of what was gathered.
LayerInputs layer_inputs(const Graph& graph, const calib::Statistics& statistics);

/// Mean over output positions of the input (or whatever `mean` holds per element of it) as each
/// weight of a row sees it, ordered as in InputMeans.
std::vector<double> mean_under_weights(const Graph& graph, const Node& n,
                                       std::span<const float> mean, bool channels_last);

/// The same of a Conv: `mean` is the mean input of `shape` (N,C,H,W or N,C,W), stored channels-last
/// or not.
std::vector<double> tap_means(const Node& conv, std::span<const float> mean, const Shape& shape,
                              const Shape& weight_shape, bool channels_last);

}  // namespace espquant::quant
