#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/shape.h"
#include "onnx/inline_graphs.h"

/// If, Loop and Scan whose course is known before any data: the nodes that they run, written out.
namespace espquant::onnx {

/// What writing out needs of the graph that takes the nodes.
struct ControlFlowHost {
  std::function<void(const Inlined&)> add;
  /// The one element of a bool or integer value, where it depends on no data.
  std::function<std::optional<std::int64_t>(const std::string&)> scalar;
  std::function<std::optional<Shape>(const std::string&)> shape;
};

/// Nodes that a loop may become.
inline constexpr std::int64_t kMostUnrolledNodes = 20000;

bool is_control_flow(const onnx_schema::Node& node);

/// Adds what the node runs. `name` makes the copies' names. Throws Error(Unsupported) where its
/// course depends on the network's data, or where it becomes more than kMostUnrolledNodes.
void write_out(const onnx_schema::Node& node, const std::string& name, const ControlFlowHost& host);

}  // namespace espquant::onnx
