#pragma once

#include <string_view>

#include "graph/graph.h"

/// Parts that LayerNormalization and RMSNormalization have in common.
namespace espquant::passes {

/// sqrt(mean(x^2) + epsilon) over the last `axes` axes of x.
struct RootMeanSquare {
  ValueId x = kNone;
  std::int64_t axes = 0;
  float epsilon = 0;
};

/// v as a root of a mean of squares; x is kNone when it is none. The square may be a Pow or a Mul.
RootMeanSquare root_mean_square_of(const Graph& graph, ValueId v);

/// x / sqrt(mean(x^2) + epsilon), written with Div, Reciprocal and Mul, or 1 / . and Mul.
RootMeanSquare normalized_by_rms(const Graph& graph, ValueId v);

/// The shape of the last `axes` axes of x.
Shape trailing_shape(const Graph& graph, ValueId x, std::int64_t axes);

}  // namespace espquant::passes
