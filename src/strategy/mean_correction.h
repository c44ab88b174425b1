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

/// What a network does on some samples in float.
struct FloatRun {
  std::vector<std::vector<Tensor>> inputs, outputs;
  /// Mean inputs of weighted layers.
  calib::Statistics statistics;
};
FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan);

/// Lowers a quantized Graph and measures its noise on the samples of `run`.
Candidate judge(Graph quantized, const Target& target, const lower::Options& options,
                const FloatRun& run);

/// Sets biases so that every layer's mean output is the float network's, given the inputs that the
/// chip really computes: layer after layer, all samples of `run` in step, each layer seeing the
/// corrections before it (empirical bias correction, Nagel et al. 2019, appendix D). The result is
/// judged; where it is noisier than `before`, `before` stays.
Candidate match_means(Candidate before, const quant::Plan& plan, const quant::Quantized& made,
                      const Target& target, const FloatRun& run);

}  // namespace espquant::strategy
