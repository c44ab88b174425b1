#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/graph.h"

/// Parts that LayerNormalization, RMSNormalization and LpNormalization have in common, in the
/// spellings of exporters.
namespace espquant::passes {

/// A value that is reduced, and the axes: normalized, ascending, without those of extent 1. No axes
/// where nothing was found.
struct Reduction {
  ValueId x = kNone;
  std::vector<std::int64_t> axes;

  bool found() const { return !axes.empty(); }
  bool operator==(const Reduction&) const = default;
};

/// v as mean(x), broadcast against x: ReduceMean, a global pool, or a sum over its count.
Reduction mean_of(const Graph& graph, ValueId v);

/// v as one `op` (ReduceL1, ReduceMax, ...) of x, broadcast against x: reduced axes are kept with
/// extent 1, or put back by a Reshape or Unsqueeze, or missing at the front.
Reduction reduced_by(const Graph& graph, ValueId v, std::string_view op);

/// gain * mean(x^2) + epsilon; at most one of a few elements is larger than `floor`.
struct MeanSquare {
  Reduction of;
  /// 1 for a mean, the number of reduced elements for a sum.
  double gain = 1;
  float epsilon = 0;
  /// Set by a lower bound beneath the root instead of a term.
  float floor = 0;

  bool found() const { return of.found(); }
};

/// v as sqrt(mean square): Sqrt, Pow by 1/2, ReduceL2; also through an Expand.
MeanSquare root_mean_square_of(const Graph& graph, ValueId v);

/// v as 1 / sqrt(mean square): Reciprocal, 1 / ., Pow by -1/2.
MeanSquare inverse_root_mean_square_of(const Graph& graph, ValueId v);

/// v = x / sqrt(mean square), written as a Div or as a Mul with the inverse; x is any value.
struct Quotient {
  ValueId x = kNone;
  MeanSquare by;
  /// A constant that the inverse was multiplied by first; kNone without.
  ValueId scale = kNone;
};
std::vector<Quotient> quotients_of(const Graph& graph, ValueId v);

/// The number of elements reduced.
std::int64_t reduced_count(const Graph& graph, const Reduction& reduction);

/// Where ESP-DL can normalize: over the last axes, or over the channels of N,C,... when they are
/// moved there.
struct NormalizedPlace {
  std::int64_t trailing = 0;
  bool channels = false;

  bool found() const { return trailing > 0; }
};
NormalizedPlace normalized_place(const Graph& graph, const Reduction& reduction);

/// The constant `v` as a parameter of that normalization; nothing where it varies along others.
std::optional<Tensor> normalization_parameter(const Graph& graph, ValueId v,
                                              const Reduction& reduction,
                                              const NormalizedPlace& place);

/// Turns the node into `op`(x, scale, bias) at that place; `scale` and `bias` as
/// normalization_parameter gives them, the scale times 1 / sqrt(gain), all ones where it is absent.
void become_normalization(Graph& graph, NodeId id, std::string_view op, std::string_view domain,
                          const MeanSquare& square, const NormalizedPlace& place,
                          std::optional<Tensor> scale, std::optional<Tensor> bias);

}  // namespace espquant::passes
