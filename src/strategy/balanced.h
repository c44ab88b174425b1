#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

/// A float network that was equalized, and what that did.
struct EqualizedNetwork {
  Graph network;
  /// "caps kept", "ReLU6 to ReLU", or "none".
  std::string variant;
  /// Channel groups that were equalized, and caps that became ReLUs.
  int groups = 0, caps_removed = 0;
  /// Of the float outputs: by turning caps into ReLUs, and by the equalization alone (relative to
  /// the largest output).
  Noise conversion_noise;
  double equalization_change = 0;
};

/// The variants of `network` that a recipe's equalization section asks for, to be judged by what
/// the chip makes of them; with undo_if_worse, the network as it is comes last. The float change
/// is measured on a few samples of `source`.
std::vector<EqualizedNetwork> equalized_variants(const Graph& network,
                                                 const Recipe::Equalization& equalization,
                                                 const calib::SampleSource& source);

}  // namespace espquant::strategy
