#pragma once

#include "calib/output_samples.h"
#include "lower/lower.h"
#include "measure/layer_noise.h"
#include "quant/quantize.h"
#include "sim/program.h"

namespace espquant::strategy {

/// A quantized Graph and what the chip executes of it.
struct Candidate {
  Graph graph;
  /// The same network scaled, in float.
  Graph scaled;
  /// By scale-group representative.
  std::vector<float> factors;
  lower::Lowered lowered;
  /// Whether weights are fitted to what the chip computes before them, where the run knows what
  /// they should make of it.
  bool fits_weights = true;
  /// At the network's outputs, simulated: on the samples to judge on, and on those that the
  /// candidate was fitted to where these are others.
  measure::OutputNoise noise, fitted_noise;
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

  /// Where the samples to judge on begin: at the first of all where none were held out.
  std::size_t first_judged() const { return fitted < inputs.size() ? fitted : 0; }
};

std::vector<std::vector<Tensor>> inputs_of(const calib::SampleSource& source,
                                           std::span<const std::int64_t> samples);

/// `outputs_of_layers`: keeps some of these, for reconstruction.
FloatRun run_float(const ops::Executor& executor, std::vector<std::vector<Tensor>> inputs,
                   const quant::Plan& plan, bool outputs_of_layers = false);

/// Adds samples to judge on.
void run_judged(const ops::Executor& executor, std::vector<std::vector<Tensor>> inputs,
                FloatRun& run);

/// Noise at the outputs of `network`, as the program computes them, on the samples of `run` to
/// judge on.
measure::OutputNoise output_noise(const sim::Program& program, const Graph& network,
                                  const FloatRun& run);

}  // namespace espquant::strategy
