#pragma once

#include <vector>

#include "calib/calibrate.h"

namespace espquant::calib {

/// Smallest and largest x of each channel (axis 1 of N,C,...) of every float activation over all
/// samples, by ValueId; empty for values of fewer than two axes and those that no run computes.
struct ChannelExtent {
  float min = 0, max = 0;

  float abs_max() const { return -min > max ? -min : max; }
};
std::vector<std::vector<ChannelExtent>> channel_extents(const ops::Executor& executor,
                                                        const SampleSource& source);

}  // namespace espquant::calib
