#pragma once

#include <optional>

#include "strategy/deadline.h"
#include "strategy/workbench.h"

namespace espquant::strategy {

/// Growth of the file, in bytes, and of the estimated time of a run.
struct WidthCost {
  std::int64_t bytes = 0;
  double milliseconds = 0;

  WidthCost beyond(const WidthCost& other) const {
    return {bytes - other.bytes, milliseconds - other.milliseconds};
  }
};

/// What one layer does to the network's output, and what 16 bits cost.
struct LayerEffect {
  std::string layer;
  /// Noise to signal that it makes alone at 8 bits, where all others that may have 16 have them.
  double noise = 0;
  WidthCost cost;
  /// The same at W8A16: of its weights; nothing where that is no choice.
  std::optional<double> weight_noise;
  WidthCost narrow_cost;
  /// Of a layer that was chosen: the layers that move with it whose weights keep 8 bits.
  std::vector<std::string> narrow_weights;
};

struct MixedResult {
  quant::Settings settings;
  /// Of all layers that may have 16 bits, the noisiest first, with the cost of each alone.
  std::vector<LayerEffect> effects;
  /// The layers that were chosen, in order, with the cost of each and those before it.
  std::vector<LayerEffect> chosen;
  /// Layers of a hand-written list without which the result is not noisier.
  std::vector<std::string> idle;
  /// False where all that is left takes nothing away, or a limit stands before the goals.
  bool goals_met = true;
  /// Of the layers that may have 16 bits, those whose noise was measured before the time was over.
  std::size_t looked_at = 0;
};

/// Chooses layers for 16 bits, with weights of 8 or 16. Each layer's noise is measured on the
/// simulated result at the network's output, all others at 16 bits, and so is that of the tensors
/// between layers, which go only where both sides are wide; a layer moves with what shares its
/// exponent, and requantize nodes are in the cost. Greedy: the layer that takes away most noise per
/// cost goes first. The cost is one layer, or bytes or milliseconds where `mixed` sets a budget in
/// those. Within a budget, and if `offer_w8a16`, weights of 8 bits are a choice for each layer: the
/// activations' noise goes, that of its weights, measured likewise, stays, and may go later for the
/// rest of the price. Where the price is a layer, 16 bits are never the worse bargain. Without a
/// goal the last choices are then compared with what came next; with one, candidates are made until
/// it is met, and layers that were not needed after all are dropped. Without labels, agreement with
/// the float network stands in for accuracy. Throws Error(Usage) where there are no class scores to
/// compare. Of a hand-written list the idle layers are found if `find_idle` says so. Once `deadline`
/// is over, layers and tensors that were not looked at stay as they are, and no more candidates are
/// made than one.
MixedResult choose_wide_layers(Workbench& bench, const recipe::Recipe::Mixed& mixed,
                               const quant::Settings& settings, Means means, bool offer_w8a16,
                               bool find_idle, const StageProgress& progress = {},
                               const Deadline& deadline = Deadline());

}  // namespace espquant::strategy
