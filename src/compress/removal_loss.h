#pragma once

#include <map>
#include <vector>

#include "calib/covariance.h"
#include "compress/channels.h"
#include "compress/sensitivity.h"

namespace espquant::compress {

/// In which order the classes of a group had better go, and what that costs.
struct RemovalCurve {
  /// Of Channels::groups(); all classes but the last, the first to go first.
  std::vector<Channels::Class> order;
  /// By number of classes gone, 0 included: noise to signal at the network's outputs, after the
  /// layers behind have been refitted by least squares.
  std::vector<double> loss;
};

/// How channels are chosen: in closed form, or, for comparison, by the sum of squares of the
/// weights that make them.
enum class Importance : std::uint8_t { Refitted, Magnitude };

/// For each group of `channels`.
///
/// A layer whose inputs vary together as its covariance says, weights W, loses, when it does
/// without the inputs S and all other weights are fitted anew in the mean square, tr(W_S
/// (C^-1_SS)^-1 W_S^T) (Hassibi and Stork 1993; Frantar and Alistarh 2022, for blocks), each output
/// weighted by what it does to the network's. Channels go one at a time, those that are left being
/// refitted on the way. Groups with a reader that `covariances` does not know have an empty order:
/// they stay.
std::vector<RemovalCurve> removal_curves(const Graph& graph, const Channels& channels,
                                         const std::map<NodeId, calib::Covariance>& covariances,
                                         const Sensitivities& sensitivities, Importance importance);

}  // namespace espquant::compress
