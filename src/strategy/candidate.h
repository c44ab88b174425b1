#pragma once

#include "calib/output_samples.h"
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
  /// The first of the samples, to which candidates are fitted; on the others, if there are any,
  /// they are judged.
  std::size_t fitted = 0;
  /// Whether weights of 16 bits are fitted, too: they can make up for others, but not for much.
  bool fits_wide = true;
  /// Of the fitted samples: of the weighted layers whose inputs' means the plan asks for.
  quant::LayerInputs layer_inputs;
  /// Of the same, for reconstruction.
  calib::LayerOutputs layer_outputs;
};
/// `outputs_of_layers`: keep some of these too.
FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan,
                   bool outputs_of_layers = false);

/// What the float network makes of inputs, per sample. `observe` sees every value of every sample,
/// from several threads.
using SampleObserver = std::function<void(std::int64_t sample, const ops::Executor::View&)>;
std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               std::span<const std::vector<Tensor>> inputs,
                                               const SampleObserver& observe = {});

/// Adds samples to judge on.
void run_judged(const ops::Executor& executor, const calib::SampleSource& source,
                std::span<const std::int64_t> samples, FloatRun& run);

/// Noise at the outputs of `network` on `inputs`, as the program computes them, against `expected`,
/// per sample.
Noise output_noise(const sim::Program& program, const Graph& network,
                   std::span<const std::vector<Tensor>> inputs,
                   std::span<const std::vector<Tensor>> expected);

}  // namespace espquant::strategy
