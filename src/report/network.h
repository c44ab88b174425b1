#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace espquant::report {

struct NetworkNode {
  std::string name, op;
  /// Of activations; constants count as parameters. Nothing where a shape is not known.
  std::vector<std::optional<Shape>> inputs, outputs;
  std::int64_t parameters = 0, macs = 0;
};

/// A network in figures, node by node in order of execution.
struct Network {
  std::int64_t opset = 0;
  struct Port {
    std::string name;
    DType dtype = DType::Undefined;
    /// Open extents are -1.
    std::optional<Shape> shape;
  };
  std::vector<Port> inputs, outputs;
  std::vector<NetworkNode> nodes;
  /// Constants that several nodes read count once.
  std::int64_t parameters = 0, macs = 0;
};

/// Of a graph whose shapes are inferred, as far as they can be.
Network describe(const Graph& graph);

/// At most 100 columns wide, totals at the end.
std::string to_text(const Network& network);
std::string to_json(const Network& network);

}  // namespace espquant::report
