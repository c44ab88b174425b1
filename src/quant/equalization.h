#pragma once

#include <vector>

#include "calib/channel_extents.h"
#include "quant/channel_groups.h"

namespace espquant::quant {

struct EqualizationSettings {
  int iterations = 4;
  /// Channels whose ranges before and after add up to less are left alone.
  float value_threshold = 0.4F;
  bool through_adds = true;
  bool include_bias = false;
  float bias_multiplier = 0.5F;
  bool include_activation = false;
  float activation_multiplier = 0.5F;
};

/// Extremes of each channel of a value over the data, by ValueId; empty where not known.
using ChannelExtents = std::vector<std::vector<calib::ChannelExtent>>;

/// Every Clip from 0 to a cap becomes a Relu. Returns how many.
int turn_caps_into_relus(Graph& graph);

/// Cross-layer equalization (Nagel et al. 2019, section 4.1): the factor of a channel is 1 /
/// sqrt(range before / range after), in [0.1, 10], where the range before is that of the filters
/// that write it (with bias and activation where asked for) and the range after that of the weights
/// that read it. Where a group carries a cap, a channel that reaches it keeps factor 1 and the
/// others stay below it, so that the cap's meaning does not change; that needs `extents`, which are
/// scaled along. Shared constants must have been unshared. Returns the number of groups equalized.
int equalize(Graph& graph, const EqualizationSettings& settings, ChannelExtents& extents);

/// Evens out the activations instead: every channel of a group is scaled up until it reaches as far
/// as the largest (times 8 at most), so that rounding the tensor costs all of them little. Best
/// where weights have exponents of their own per channel. Caps as in equalize(). Returns the number
/// of groups.
int even_activations(Graph& graph, bool through_adds, ChannelExtents& extents);

/// High-bias absorption (Nagel et al. 2019, section 4.1.3): where a channel before a ReLU is never
/// below m > 0 on the data, m moves out of its bias into the biases of the layers that read it, so
/// that its range loses the part that says nothing. Only where all readers are layers that read no
/// padding. Returns the number of channels changed.
int absorb_high_biases(Graph& graph, const ChannelExtents& extents);

}  // namespace espquant::quant
