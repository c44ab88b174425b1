#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace espquant::report {

struct NetworkNode {
  std::string name, op;
  std::vector<Shape> inputs, outputs;  ///< of activations; constants count as parameters
  std::int64_t parameters = 0, macs = 0;
};

/// A network in figures, node by node in order of execution.
struct Network {
  std::int64_t opset = 0;
  struct Port {
    std::string name;
    DType dtype = DType::Undefined;
    Shape shape;
  };
  std::vector<Port> inputs, outputs;
  std::vector<NetworkNode> nodes;
  /// Constants that several nodes read count once.
  std::int64_t parameters = 0, macs = 0;
};

/// Of a graph whose shapes are inferred.
Network describe(const Graph& graph);

/// At most 100 columns wide, totals at the end.
std::string to_text(const Network& network);
std::string to_json(const Network& network);

}  // namespace espquant::report
