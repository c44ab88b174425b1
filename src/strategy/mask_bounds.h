#pragma once

#include <vector>

#include "strategy/decisive_ranges.h"

namespace espquant::strategy {

/// Brings numbers that only say "the lowest there is" (a mask's -1e9, what a Pad or Concat puts
/// beside scores) as close to the others as they can be: constants, factors of masks that are
/// computed at run time, and, by a Clip, what else reaches far beyond what decides (DecisiveRanges,
/// by what up to 64 samples show). Returns the range that each of the network's inputs may be
/// limited to, empty where none is. Runs nothing where no such number is in sight.
///
/// Throws Error(BadData) where an infinity is left that no reader takes for a limit.
std::vector<Range> settle_masks(Graph& network, const calib::SampleSource& source, int bits);

/// The samples with each input limited so: what the chip makes of them, since their exponents
/// follow from it.
calib::SampleSource limited(calib::SampleSource source, std::vector<Range> inputs);

}  // namespace espquant::strategy
