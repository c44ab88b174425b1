#pragma once

#include "lower/lower.h"
#include "quant/quantize.h"
#include "sim/program.h"
#include "strategy/layer_noise.h"

namespace espquant::strategy {

/// A quantized Graph and what the chip executes of it.
struct Candidate {
  Graph graph;
  /// The same network scaled, in float.
  Graph scaled;
  /// By scale-group representative.
  std::vector<float> factors;
  lower::Lowered lowered;
  /// At the network's outputs, simulated.
  Noise noise;
};

/// What a network does on some samples in float.
struct FloatRun {
  std::vector<std::vector<Tensor>> inputs, outputs;
  /// Of the samples, where there are any.
  std::vector<std::int64_t> labels;
  /// Of the weighted layers whose inputs' means the plan asks for.
  quant::LayerInputs layers;
};
FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan);

/// What the float network makes of inputs, per sample.
std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               const std::vector<std::vector<Tensor>>& inputs);

/// Noise at the outputs of `network`, as the program computes them, against `expected` per sample.
Noise output_noise(const sim::Program& program, const Graph& network, const FloatRun& run,
                   const std::vector<std::vector<Tensor>>& expected);

}  // namespace espquant::strategy
