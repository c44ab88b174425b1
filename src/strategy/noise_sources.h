#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

/// A layer that may have 8 or 16 bits, and speaks for all that moves with it.
struct MovableLayer {
  std::string name;
  /// Representative of the values that share its exponent.
  ValueId group = kNone;
  /// The layers that move, with weights that may keep 8 bits below 16 (quant::has_w8a16) and to
  /// which `settings` give no width by name.
  std::vector<std::string> narrow_weights;
};

/// 8 bits, W8A16, 16 bits.
enum class LayerWidth : std::uint8_t { Narrow, NarrowWeights, Wide };

/// In the order of execution: those that have 8 bits by `settings`, and for which the chip has 16.
/// What `settings` give a width by name is not among them.
std::vector<MovableLayer> movable_layers(const Workbench& bench, const quant::Settings& settings);

/// A tensor between movable layers. As long as one of them has 8 bits, so has the tensor, or the
/// copy of it that this layer reads.
struct SharedTensor {
  ValueId value = kNone;
  /// Indices of movable layers, at least two, ascending.
  std::vector<std::size_t> layers;
};

/// In the order in which they are written.
std::vector<SharedTensor> shared_tensors(const Workbench& bench,
                                         std::span<const MovableLayer> layers);

/// A part of the noise at the network's output, there as long as the activations of one of these
/// layers have 8 bits.
struct NoiseSource {
  double noise = 0;
  std::vector<std::size_t> layers;
};

/// What to expect of layers at 16 bits: the parts of the noise add up.
class NoiseSources {
 public:
  /// `alone`: noise to signal that each layer makes alone at 8 bits, with the tensors that it reads
  /// and writes; `tensors`: that of rounding these alone; `weights`: what each layer makes as the
  /// only one of W8A16, or nothing where that is no choice.
  NoiseSources(std::span<const double> alone, std::vector<NoiseSource> tensors,
               std::span<const double> weights = {});

  double total() const;
  /// What is there with these widths.
  double left(std::span<const LayerWidth> now) const;
  /// What `layer` takes away when it goes from its width in `now` to a wider one. A tensor for
  /// which `room` allows the other layers too counts in equal parts.
  double gain(std::size_t layer, LayerWidth to, std::span<const LayerWidth> now,
              std::size_t room) const;

 private:
  std::vector<NoiseSource> sources_;
  /// Of each layer, there until it is Wide.
  std::vector<double> weights_;
};

}  // namespace espquant::strategy
