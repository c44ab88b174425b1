#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "espquant/export.h"

namespace espquant {

/// An .onnx, and which part of it is meant.
struct Network {
  std::filesystem::path file;
  /// "NAME=1,3,224,224" for an input whose extents the file leaves open (default: those of the
  /// data); the name may be left out where there is one input.
  std::vector<std::string> input_shapes;
  /// Names of values or nodes at which it begins and ends; empty: as the file does.
  std::vector<std::string> inputs, outputs;
  /// Leave to the application what the chip cannot run, where that is only decoding at the end.
  bool cut_tail = false;
};

/// What a chip makes of a network, node by node, before any data are seen.
struct NetworkCheck {
  /// Every node can be run.
  bool passed = false;
  /// As `espquant check NETWORK.onnx --json` prints it (docs/json.md).
  std::string json;
};

/// `target`: a chip, as "esp32s3"; `release` of ESP-DL, empty: the newest. Throws Error for a
/// network that is broken altogether.
ESPQUANT_API NetworkCheck check(const Network& network, const std::string& target = "esp32s3",
                                const std::string& release = {});

/// Shapes, nodes, parameters and multiply-accumulates, as `espquant inspect NETWORK.onnx --json`
/// prints them; `simplified`: as it is quantized, after all rewriting.
ESPQUANT_API std::string inspect(const Network& network, bool simplified = false);

}  // namespace espquant
