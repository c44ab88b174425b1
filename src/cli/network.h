#pragma once

#include <filesystem>

#include "espdl/model.h"
#include "graph/graph.h"

/// The float network beside an .espdl.
namespace espquant::cli {

/// Read from an .onnx and simplified, for comparison with `model`: where that takes one sample and
/// the network fixes a batch of several, the batch becomes one. Errors carry the file's name.
Graph load_network(const std::filesystem::path& path, const espdl::Model& model);

/// The network as far as an .espdl tells it: inputs and outputs, in the network's layout where the
/// metadata state it, else as they are stored.
Graph outline(const espdl::Model& model);

}  // namespace espquant::cli
