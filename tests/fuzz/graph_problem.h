#pragma once

#include <cstdint>
#include <map>
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

enum class GraphSize {
  Small,
  Large,  ///< images of up to 32 rows, filters of several vectors
};

/// The same for the same seed.
GraphProblem draw_graph(std::uint64_t seed, GraphSize size = GraphSize::Small);

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
  /// Of judge_schedule(): places that each rewrite changed, and goals that could not be met.
  std::map<std::string, std::int64_t> rewrites = {};
  std::int64_t refused_fits = 0;
};

/// Quantizes the network, takes it through the last gate, and compares all samples, one after the
/// other, with the replay. At 16 bits the noise has to stay below 1 %.
GraphVerdict judge(const GraphProblem& problem);

/// Quantizes the network and fits the file to several goals: for latency on two boards, and into
/// less memory. Each result must give the same integers, pass the last gate, and keep the goal.
GraphVerdict judge_schedule(const GraphProblem& problem);

}  // namespace espquant::test
