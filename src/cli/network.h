#pragma once

#include <filesystem>

#include "espdl/model.h"
#include "graph/graph.h"

/// The float network beside an .espdl.
namespace espquant::cli {

/// Read from an .onnx and simplified. Errors carry the file's name.
Graph load_network(const std::filesystem::path& path);

/// The network as far as an .espdl tells it: inputs and outputs, in the network's layout where the
/// metadata state it, else as they are stored.
Graph outline(const espdl::Model& model);

}  // namespace espquant::cli
