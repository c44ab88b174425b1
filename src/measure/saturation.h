#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "measure/layer_noise.h"
#include "ops/executor.h"

namespace espquant::measure {

/// What the narrow registers of a chip do to one node (S3: 20-bit lanes for int8, 40 bits for
/// int16), over all samples.
struct LayerSaturation {
  std::string node, op, tensor;
  DType dtype = DType::Undefined;
  /// Traced: touched outputs, how near the others came.
  sim::Workspace::Saturation books;
  /// Outputs that differ from those of exact sums of the same inputs and biases, of all of them.
  std::int64_t changed = 0, elements = 0;
  /// What that makes of the node's output.
  Noise effect;
};

struct SaturationReport {
  /// Nodes that compute in registers that clip, in order of execution.
  std::vector<LayerSaturation> layers;
  std::int64_t samples = 0;
  /// Of the network's outputs, against exact sums in all nodes.
  Noise output;
  /// Of the network's outputs against the float network: as the chip computes, and with exact sums.
  std::optional<Noise> noise, noise_of_exact_sums;
};

/// Runs the samples on `program` and on the same with exact sums. Every sample starts from fresh
/// streaming state. `network` gives names and shapes of inputs and outputs; `reference`, the float
/// network, may be null. The result does not depend on the number of threads. Throws what Program
/// and SimulatedNetwork throw.
SaturationReport measure_saturation(const sim::Program& program, const Graph& network,
                                    const ops::Executor* reference,
                                    const calib::SampleSource& source,
                                    const calib::Progress& progress = {});

/// By how many bits the sums of a layer must shrink so that none of those seen passes the limit;
/// 0 where none does.
int excess_bits(const LayerSaturation& layer);

/// Where saturation changes outputs: one sentence with what happens and what to do about it, e.g.
/// for the ESP32-S3. Empty where it changes nothing.
std::string advice(const LayerSaturation& layer, const Target& target);

}  // namespace espquant::measure
