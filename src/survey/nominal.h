#pragma once

#include "cost/latency.h"
#include "espdl/model.h"
#include "graph/graph.h"
#include "ops/op.h"
#include "target/target.h"

/// A network as the chip would run it, quantized for values that nobody has seen.
namespace espquant::survey {

struct Draft {
  espdl::Model model;
  /// Nodes that cannot be lowered; of the model nothing is of use then.
  std::vector<ops::NodeRefusal> refused;
};

/// Quantizes the simplified `network` to 8 or 16 bits as if every activation reached from -1 to 1,
/// and lowers it: nodes, shapes and memory are those that any data give, the integers are not.
Draft draft(Graph network, const Target& target, int bits);

}  // namespace espquant::survey
