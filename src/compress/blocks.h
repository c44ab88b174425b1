#pragma once

#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "compress/choose.h"

namespace espquant::compress {

/// A part of a network that can be left out: whoever reads `to` reads `from` instead, a value of
/// the same shape before it, and nothing between the two is read elsewhere. The branch of a
/// residual block, the whole block, or a layer as wide as the one before it.
struct Block {
  ValueId from = kNone, to = kNone;
  /// In topological order.
  std::vector<NodeId> nodes;
};

/// Blocks with a weighted layer, each as short as it can be; the branches of Adds among them, where
/// the other operand stays.
std::vector<Block> find_blocks(const Graph& graph);

/// The network without these, none of which overlaps another; ids stay.
Graph without_blocks(const Graph& graph, std::span<const Block> blocks);

/// A block, what leaving it out saves, and the noise to signal that is left at the outputs once
/// those who read past it have been refitted.
struct RankedBlock {
  Block block;
  std::vector<std::string> layers;
  Price saved;
  double loss = 0;
};

/// Those that take something off the excess of the budget, that which takes most for what it loses
/// first; of blocks that overlap the better one. Measured on `samples` samples.
std::vector<RankedBlock> rank_blocks(const Graph& graph, const calib::SampleSource& source,
                                     std::int64_t samples, const PriceOf& price_of,
                                     const Budget& budget, const calib::Progress& progress = {});

}  // namespace espquant::compress
