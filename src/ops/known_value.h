#pragma once

#include <optional>

#include "graph/graph.h"

namespace espquant::ops {

/// What is known of a value before any data: its shape, and its elements where they are few and
/// depend on shapes and constants only. Both are missing where a node before it cannot be inferred;
/// the graph may be a part that is still being built.
struct KnownValue {
  std::optional<Shape> shape;
  Tensor value;
};
KnownValue known_of(const Graph& graph, ValueId v, std::int64_t batch = 1);

}  // namespace espquant::ops
