#pragma once

#include <string>
#include <vector>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::cost {

struct LatencyOptions {
  /// Kernels read parameters from flash instead of from a copy in PSRAM (`param_copy = false`).
  bool parameters_in_flash = false;
};

struct NodeLatency {
  std::string node, op;
  double milliseconds = 0;
  /// Of those, waiting for lines from behind the cache.
  double memory_milliseconds = 0;
  double macs = 0;
};

/// An estimate of one run on one core, and how far to trust it.
struct LatencyEstimate {
  std::vector<NodeLatency> nodes;
  double milliseconds = 0;
  double clock_mhz = 0;
  /// The measured time of the whole is expected within milliseconds * (1 - below) and milliseconds
  /// * (1 + above). Single nodes differ by more.
  double below = 0, above = 0;
  /// What the figures of the model come from: a short phrase.
  std::string basis;
};

/// How long one run of the model takes on one core of `target` at its usual clock, with activations
/// and parameters in PSRAM (ESP-DL 7): instructions of the kernels, plus lines that the cache does
/// not hold, above all filters, which are read again for every output pixel. Operators without a
/// known kernel count as scalar code. Tensors without a shape in the file count as empty.
LatencyEstimate estimate_latency(const espdl::Model& model, const Target& target,
                                 const LatencyOptions& options = {});

}  // namespace espquant::cost
