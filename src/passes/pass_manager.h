#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace espquant::passes {

struct Pass {
  std::string_view name;
  std::string_view description;
  /// Returns how many places it changed.
  std::int64_t (*run)(Graph&);
  /// Later passes rely on it: it cannot be switched off.
  bool required = false;
};

struct PassRecord {
  std::string name;
  double seconds = 0;
  std::int64_t changes = 0;
  /// Nodes that are no more.
  std::vector<NodeId> removed;
};

struct PassOptions {
  /// Passes that are left out, by name; one that stands in the list twice is left out twice.
  std::vector<std::string> disabled;
  /// Taken for a symbolic first extent of graph inputs.
  std::int64_t batch = 1;
};

/// Every pass in the order in which they run. A name may stand in it twice.
std::span<const Pass> all_passes();

/// Throws Error(Usage), with the nearest name, for a name that no pass has or that of a required
/// pass.
void check_options(const PassOptions& options);

/// Runs `passes` over the graph; after each, dead nodes go, shapes are inferred and the graph is
/// verified (a broken graph is an Error(Internal) that names the pass). One record per pass that
/// ran is appended to `records`, if given.
void run_passes(Graph& graph, std::span<const Pass> passes, const PassOptions& options,
                std::vector<PassRecord>* records);

/// The network with the same outputs, in the canonical form that quantization works on: operator
/// set kCanonicalOpset, explicit pads, constants folded, BatchNormalization gone where it can,
/// ESP-DL's fused operators. Shapes are known everywhere. Throws what ops::infer_shapes and
/// check_options throw.
Graph simplify(Graph graph, const PassOptions& options = {},
               std::vector<PassRecord>* records = nullptr);

}  // namespace espquant::passes
