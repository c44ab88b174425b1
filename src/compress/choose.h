#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "compress/removal_loss.h"

namespace espquant::compress {

/// What a network costs on its chip.
struct Price {
  double milliseconds = 0, file_bytes = 0, ram_bytes = 0;
};
using PriceOf = std::function<Price(const Graph&)>;

/// What it may cost.
struct Budget {
  std::optional<double> milliseconds, file_bytes, ram_bytes;

  /// By how much a price goes beyond it: the sum of the shares; 0 where it is kept.
  double excess(const Price& price) const;
};

/// How many classes of each group go.
struct ChannelChoice {
  std::vector<std::size_t> gone;
  double loss = 0;
  Price price;
  bool met = false;
};

struct ChoiceOptions {
  Budget budget;
  /// Channels that one instruction of the chip computes: what steps are multiples or halves of.
  std::int64_t lanes = 16;
};

/// The least loss under the budget: again and again the step that takes most off the excess for
/// what it loses (Lagrange's multiplier, made discrete: Everett 1963), then what can be given back
/// within the budget. Each step is priced as a whole network, so that what vectors of the chip
/// leave unused counts as it does there. Where the budget cannot be met: the nearest that was
/// found.
ChannelChoice choose_channels(const Graph& graph, const Channels& channels,
                              std::span<const RemovalCurve> curves, const PriceOf& price_of,
                              const ChoiceOptions& options);

/// Marks the classes that stay.
std::vector<bool> kept_classes(const Channels& channels, std::span<const RemovalCurve> curves,
                               std::span<const std::size_t> gone);

}  // namespace espquant::compress
