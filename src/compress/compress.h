#pragma once

#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "compress/blocks.h"
#include "compress/choose.h"

namespace espquant::compress {

struct CompressOptions {
  ChoiceOptions choice;
  Importance importance = Importance::Refitted;
  /// Samples that second moments are gathered from, and that layers are refitted to.
  std::int64_t samples = 128;
  /// Layers that are left behind are fitted to do without what is gone.
  bool refit = true;
  calib::Progress progress = {};
};

/// Channels that went of a group, and what that alone was thought to save and to cost.
struct RemovedChannels {
  /// The layers that made them, and how many they make now.
  std::vector<std::string> layers;
  std::int64_t before = 0, after = 0;
  Price saved;
  /// Noise to signal at the outputs, in closed form.
  double loss = 0;
};

/// A block that was left out.
struct RemovedBlock {
  std::vector<std::string> layers;
  Price saved;
  /// Noise to signal at the outputs, measured, of this one alone.
  double loss = 0;
};

struct Compressed {
  Graph graph;
  Price before, after;
  std::vector<RemovedBlock> blocks;
  std::vector<RemovedChannels> removed;
  double loss = 0;
  bool met = false;

  bool is_as_it_was() const { return blocks.empty() && removed.empty(); }
};

/// The network under the budget, channels chosen as choose_channels() does and the layers left
/// behind refitted. Where nothing can go, or the budget is met as it is, it is the same.
/// `blocks` are left out before that.
Compressed compress(const Graph& graph, const calib::SampleSource& source, const PriceOf& price_of,
                    const CompressOptions& options, std::span<const RankedBlock> blocks = {});

}  // namespace espquant::compress
