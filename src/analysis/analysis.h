#pragma once

#include "analysis/diagnosis.h"
#include "strategy/quantize_model.h"

namespace espquant::analysis {

struct AnalyzedLayer {
  LayerFacts facts;
  Diagnosis diagnosis;
};

struct Analysis {
  /// The network's inputs, then the nodes of the chip's model in order of execution, without those
  /// that the lowering adds.
  std::vector<AnalyzedLayer> layers;
  /// Of the network's outputs.
  measure::OutputNoise output;
  std::int64_t samples = 0;
};

/// Which layer of `made` loses what, and why, on `samples` of `source`: in one float and two
/// simulated passes, the float network continued behind every layer, and on chips whose registers
/// saturate two more simulated passes over a few of the samples. The result does not depend on the
/// number of threads.
Analysis analyze(const strategy::QuantizedModel& made, const Target& target,
                 const calib::SampleSource& source, std::span<const std::int64_t> samples);

/// What the filters of a layer of `scaled` lose in `quantized`, the same network with exponents.
WeightFacts weight_facts(const Graph& scaled, const Graph& quantized, const Node& layer,
                         const Target& target);

}  // namespace espquant::analysis
