#pragma once

#include <optional>
#include <span>
#include <vector>

#include "search/config.h"

namespace espquant::search {

/// What a search asks measurements of. An outcome is missing where the budget ended before.
class Desk {
 public:
  virtual ~Desk() = default;
  virtual std::vector<std::optional<Outcome>> ask(std::span<const Work> works) = 0;
  /// Whether nothing more will be measured.
  virtual bool over() const = 0;
};

/// What to expect of layers' widths in one family of candidates, from measurements of each layer
/// alone: noise adds up (strategy::NoiseSources), and so, nearly, do costs.
class WidthModel {
 public:
  /// Nothing where the budget ends before all is measured, or the network refuses to be measured
  /// at 16 bits.
  static std::optional<WidthModel> measure(const Field& field, const Config& family,
                                           std::span<const TensorInfo> tensors, Desk& desk);

  struct Prediction {
    double noise = 0, milliseconds = 0, flash = 0;
  };
  Prediction of(std::span<const strategy::LayerWidth> widths) const;

  /// What a way from all layers at 8 bits to all at 16 passes: each step the one that takes away
  /// most noise for what it costs, in milliseconds or in bytes.
  enum class Price : std::uint8_t { Milliseconds, Bytes };
  std::vector<std::vector<strategy::LayerWidth>> greedy_way(const Field& field, Price price) const;

  /// Of each layer alone at 8 bits, for people.
  const std::vector<double>& alone() const { return alone_; }

 private:
  struct Cost {
    double milliseconds = 0, flash = 0;
  };
  double price_of(std::size_t layer, strategy::LayerWidth from, strategy::LayerWidth to,
                  Price price) const;
  Cost saving(std::size_t layer, strategy::LayerWidth width) const;

  std::optional<strategy::NoiseSources> sources_;
  /// With all layers at 16 bits.
  double floor_ = 0;
  Cost wide_;
  std::vector<double> alone_;
  /// What a layer at 8 bits, or with weights of 8, costs less than at 16.
  std::vector<Cost> narrow_saves_, weights_save_;
};

}  // namespace espquant::search
