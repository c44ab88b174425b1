#pragma once

#include <optional>

#include "strategy/workbench.h"

namespace espquant::strategy {

/// The variant that is the network as it was.
inline constexpr std::string_view kNotEqualized = "none";

/// A float network that was equalized, and what that did.
struct EqualizedNetwork {
  Graph network;
  /// "caps kept", "activations", "ReLU6 to ReLU", or kNotEqualized.
  std::string variant;
  /// Channel groups that were equalized, and caps that became ReLUs.
  int groups = 0, caps_removed = 0;
  /// Of the float outputs: by turning caps into ReLUs, and by the equalization alone (relative to
  /// the largest output).
  Noise conversion_noise;
  double equalization_change = 0;
};

/// One way of equalizing that was tried.
struct EqualizationTrial {
  std::string variant;
  int groups = 0, caps_removed = 0;
  Noise conversion_noise;
  double equalization_change = 0;
  /// What the chip makes of it, against the original float network; unknown where turning caps into
  /// ReLUs alone makes more noise than another way makes in all.
  std::optional<Noise> noise;
  bool kept = false;
};

struct BalancedNetwork {
  EqualizedNetwork kept;
  std::vector<EqualizationTrial> trials;
};

/// The ways that a recipe's equalization section asks for, judged by what the chip makes of each
/// after a calibration on the samples of plain.run(), of the network as it is: the one with the
/// least noise at the outputs is kept. With undo_if_worse, leaving the network as it is is one of
/// them, which gives way to a tenth less noise.
BalancedNetwork balance(Workbench& plain, const Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress = {});

}  // namespace espquant::strategy
