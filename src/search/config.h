#pragma once

#include <optional>
#include <span>
#include <vector>

#include "search/space.h"
#include "search/work.h"
#include "strategy/noise_sources.h"

namespace espquant::search {

/// A point of a space: the value of each choice, and the width of each layer that may have another.
struct Config {
  /// By choice of the space.
  std::vector<std::size_t> values;
  /// By layer of Outcome::layers.
  std::vector<strategy::LayerWidth> widths;

  bool operator==(const Config&) const = default;
  auto operator<=>(const Config&) const = default;
};

/// A space for one network: which layers there are, and what it has that values need.
struct Field {
  Space space;
  std::vector<LayerInfo> layers;
  bool has_caps = false;
  /// The recipe int8 for the chip and release of the search.
  recipe::Recipe plain;

  /// All first values, all layers at 8 bits.
  Config start() const;
  bool may_have(std::size_t layer, strategy::LayerWidth width) const;
  /// Whether every value that it has means something.
  bool makes_sense(const Config& config) const;
  /// The recipe that says the same, called after its content.
  recipe::Recipe recipe_of(const Config& config) const;
  /// start() with the widths that a recipe chose by itself.
  Config with_widths(std::span<const std::string> wide_layers,
                     std::span<const std::string> narrow_weights) const;
  /// The same values but for the choices that need no new calibration, all layers at 8 bits: what
  /// has noise sources in common.
  Config family_of(const Config& config) const;
};

}  // namespace espquant::search
