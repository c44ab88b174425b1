#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace espquant::onnx {

/// Versions of the default operator set that are read.
inline constexpr std::int64_t kOldestOpset = 7;
inline constexpr std::int64_t kNewestOpset = 22;

struct ImportOptions {
  /// Static shapes for graph inputs (N,C,H,W), by name. They settle symbolic extents; an extent
  /// that the model states itself cannot be changed.
  std::map<std::string, Shape> input_shapes;

  /// Values at which the network is cut, by their names or those of the nodes that put them out:
  /// what is before `inputs` and behind `outputs` is not even imported. Empty: as the file says.
  /// The shape of a value that becomes an input is the one in `input_shapes`, the file's, or what
  /// the nodes before it give.
  std::vector<std::string> inputs, outputs;

  /// Where given, takes the refusals of control flow that depends on data, which stays in the graph
  /// as nodes that nothing takes (If, Loop, Scan); they read all that the graphs within read. Values
  /// then have the types and shapes that the file states, where it states whole ones.
  std::vector<Error>* refused = nullptr;

  /// Tensors of float16, bfloat16 and double become float32 wherever the model names the type:
  /// constants, graph inputs, the targets of Cast. Off: types are kept as they stand.
  bool float32_only = true;

  /// Lower it only for a model whose operators are known to mean the same since: many did not
  /// change before set 7.
  std::int64_t oldest_opset = kOldestOpset;
};

/// Reads an ONNX model. Constants (initializers, Constant nodes in all their forms, external data
/// inside the model's folder) become constant values, so no Constant node is left; unknown extents
/// of graph inputs become -1; shapes of other values stay unset until ops::infer_shapes. Nodes
/// without a name, or with one that another node has, get a name of their own; the nodes' order in
/// the file does not matter. Calls of the model's own functions are inlined; so is the branch that
/// an If takes, and every iteration of a Loop or Scan, where no data decide about it. Further
/// outputs of training (statistics, masks) that nobody reads are left out.
///
/// Throws Error with the file's name: Io; Malformed for damaged files and broken references;
/// Unsupported for operator sets outside 7..22, control flow that depends on data, sparse or string
/// tensors, inputs that are not tensors; BadData for external data outside the folder; Usage for
/// input_shapes, inputs and outputs that do not fit the model. Unknown operators are accepted here:
/// ops::infer_shapes refuses them.
Graph import_model(const std::filesystem::path& path, const ImportOptions& options = {});

/// As above for a file in memory. External data are looked for in `folder`, and refused when it is
/// empty.
Graph import_model(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                   const ImportOptions& options = {});

/// Throws Error(BadData), naming the tensor and a node that reads it, when a float constant holds
/// NaN; or an infinity, unless the node is one for which an infinite bound means "none" (Clip, Min,
/// Max, Where, Pad).
void check_finite_constants(const Graph& graph);

}  // namespace espquant::onnx
