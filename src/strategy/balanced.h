#pragma once

#include <optional>

#include "strategy/workbench.h"

namespace espquant::strategy {

/// What is done to a float network before it is quantized.
enum class EqualizationWay : std::uint8_t {
  None,
  CapsKept,     ///< cross-layer equalization that leaves every cap its meaning
  Activations,  ///< channels of activations evened instead of those of weights
  ToRelu,       ///< caps turned into ReLUs, then cross-layer equalization
};
/// "none", "caps kept", "activations", "ReLU6 to ReLU".
std::string_view name_of(EqualizationWay way);

struct EqualizationTrial {
  EqualizationWay way = EqualizationWay::None;
  /// Channel groups that were equalized, and caps that became ReLUs.
  int groups = 0, caps_removed = 0;
  /// Of the float outputs: by turning caps into ReLUs, and by the equalization alone (relative to
  /// the largest output).
  Noise conversion_noise;
  double equalization_change = 0;
  /// What the chip makes of it, against the original float network; unknown where turning caps into
  /// ReLUs alone makes more noise than another way makes in all: it ends there.
  std::optional<Noise> noise;
  bool kept = false;
};

struct BalancedNetwork {
  Graph network;
  std::vector<EqualizationTrial> trials;

  const EqualizationTrial& kept() const;
};

/// The ways that a recipe's equalization section asks for, judged by what the chip makes of each
/// after a calibration on the samples of plain.run(), of the network as it is: the one with the
/// least noise at the outputs is kept. With undo_if_worse, leaving the network as it is is one of
/// them, which gives way to a tenth less noise.
BalancedNetwork balance(Workbench& plain, const Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress = {});

}  // namespace espquant::strategy
