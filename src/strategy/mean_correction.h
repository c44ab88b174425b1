#pragma once

#include "calib/calibrate.h"
#include "lower/lower.h"
#include "quant/quantize.h"
#include "strategy/layer_noise.h"

namespace espquant::strategy {

/// A quantized Graph and what the chip executes of it.
struct Candidate {
  Graph graph;
  lower::Lowered lowered;
  /// At the network's outputs, simulated.
  Noise noise;
};

/// Sets biases so that every layer's mean output on the chip is the float network's, given the
/// inputs that the chip really computes: in each of up to `passes` rounds the inputs' means are
/// simulated on `samples` and all layers corrected at once; a round that makes the result noisier
/// is undone and ends it. (Empirical bias correction, Nagel et al. 2019, appendix D, in parallel
/// over layers.) `executor` runs the float network.
Candidate match_means(Graph quantized, const quant::Plan& plan,
                      const quant::Calibration& calibration, const quant::Quantized& made,
                      const quant::Settings& settings, const lower::Options& options,
                      const ops::Executor& executor, const calib::SampleSource& source,
                      std::span<const std::int64_t> samples, int passes);

}  // namespace espquant::strategy
