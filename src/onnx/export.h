#pragma once

#include <cstddef>
#include <vector>

#include "graph/graph.h"

namespace espquant::onnx {

/// The graph as an ONNX file, nodes in topological order, shapes that are known included;
/// import_model reads it back to the same graph. Operators outside ONNX keep their domain. The same
/// graph gives the same bytes. Throws Error(Unsupported) when the file would exceed the 2 GB of one
/// protobuf message.
std::vector<std::byte> export_model(const Graph& graph);

}  // namespace espquant::onnx
