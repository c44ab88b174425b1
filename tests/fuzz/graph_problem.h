#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

/// Random networks, quantized and held against a replay in memory as the runtime plans it.
namespace espquant::test {

struct GraphProblem {
  std::uint64_t seed = 0;
  /// "esp32s3", "esp32p4" or "esp32".
  std::string chip;
  /// "int8", "int16", "mixed", "balanced" or "w8a16".
  std::string recipe;
  Graph network;
  std::vector<std::vector<Tensor>> samples;
};

/// The same for the same seed.
GraphProblem draw_graph(std::uint64_t seed);

struct GraphVerdict {
  enum class Kind {
    Equal,    ///< simulator and replay agree, and the file passed the last gate
    Refused,  ///< with a reason and a remedy
    Wrong,
  };
  Kind kind = Kind::Equal;
  /// Why it was refused, or what is wrong.
  std::string text;
  std::int64_t outputs = 0, aliases = 0;
  /// Nodes that would have written over data still needed.
  std::int64_t losses = 0;
};

/// Quantizes the network, takes it through the last gate, and compares all samples, one after the
/// other, with the replay. At 16 bits the noise has to stay below 1 %.
GraphVerdict judge(const GraphProblem& problem);

}  // namespace espquant::test
