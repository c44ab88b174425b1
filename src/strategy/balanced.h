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
  /// Caps that became ReLUs, and what that does to the float outputs.
  int caps_removed = 0;
  measure::OutputNoise conversion_noise;
  /// What the chip makes of it, against the original float network; unknown where turning caps into
  /// ReLUs alone makes more noise than another way makes in all: it ends there, not equalized.
  std::optional<measure::OutputNoise> noise;
  /// Channel groups that were equalized, and how far that moved the float outputs, relative to the
  /// largest.
  int groups = 0;
  double equalization_change = 0;
  bool kept = false;
};

struct BalancedNetwork {
  Graph network;
  std::vector<EqualizationTrial> trials;

  const EqualizationTrial& kept() const;
};

/// The ways that a recipe's equalization section asks for, each equalized by the channels' extents
/// on all samples of `plain`, a bench of the network as it is, and calibrated and judged, under
/// `settings`, on those of plain.run(): the one with the least noise at the simulated outputs is
/// kept. With undo_if_worse, leaving the network as it is is one of them, which gives way to a
/// tenth less noise.
BalancedNetwork balance(Workbench& plain, const quant::Settings& settings,
                        const recipe::Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress = {});

}  // namespace espquant::strategy
