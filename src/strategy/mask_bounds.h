#pragma once

#include "calib/calibrate.h"
#include "graph/graph.h"

namespace espquant::strategy {

/// Brings masks in front of a Softmax (passes/bound_masks) as close to the scores as they can be:
/// so that, by what the scores of up to 64 samples reach, the probabilities of all masked positions
/// of a row together are less than 2^-bits of the largest. Does nothing, and runs nothing, where
/// there are no masks.
void settle_masks(Graph& network, const calib::SampleSource& source, int bits);

}  // namespace espquant::strategy
