#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace espquant::measure {

/// What the elements of an output were put together from.
struct OutputParts {
  /// By element, in the order of N,C,H,W: which part; empty where there is only one.
  std::vector<std::uint16_t> of_element;
  /// By part: the tensors that Concat took.
  std::vector<std::string> names;
};

/// Follows `output` back through what moves elements or computes one from one, to Concat. Parts
/// that Concat joins along positions (the scales of a detector, each of boxes and scores) are one
/// part where they have the same parts themselves, and otherwise apart. Shapes must be known.
OutputParts parts_of_output(const Graph& network, ValueId output);

}  // namespace espquant::measure
