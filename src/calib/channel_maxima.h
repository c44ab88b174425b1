#pragma once

#include <vector>

#include "calib/calibrate.h"

namespace espquant::calib {

/// Largest |x| of each channel (axis 1 of N,C,...) of every float activation over all samples, by
/// ValueId; empty for values of fewer than two axes and those that no run computes.
std::vector<std::vector<float>> channel_maxima(const ops::Executor& executor,
                                               const SampleSource& source);

}  // namespace espquant::calib
