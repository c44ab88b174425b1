#pragma once

#include <cstdint>
#include <string>

#include "espquant/quantize.h"

namespace espquant {

struct AnalyzeOptions {
  Recipe recipe;
  /// Empty: what the recipe says, else esp32s3.
  std::string target;
  /// What the noise is measured on; empty: the calibration data.
  Data test;
  /// Samples to measure on, evenly spread.
  std::int64_t samples = 32;
};

/// Which layer loses what, and why.
struct Analysis {
  /// As `espquant analyze NETWORK.onnx --json` prints it, the worst layer first (docs/analyze.md).
  std::string json;
  /// The same as a table with explanations.
  std::string text;
};

/// Quantizes the network by the recipe and writes nothing.
ESPQUANT_API Analysis analyze(const Network& network, const Data& calib,
                              const AnalyzeOptions& options = {}, const Observer& observer = {});

}  // namespace espquant
