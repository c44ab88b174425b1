#include <algorithm>
#include <array>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// A window operator's arguments, one entry per spatial axis.
struct Window {
  std::vector<std::int64_t> in, out, kernel, strides, dilations, output_padding;
};

/// kernel_shape may be left out where there are weights.
std::vector<std::int64_t> kernel_of(const Graph& graph, const Node& node) {
  const Shape& weights = shape_of(graph, node.inputs.at(1));
  return {weights.begin() + 2, weights.end()};
}

Window window_of(const Graph& graph, const Node& node) {
  const Shape& in = shape_of(graph, node.inputs[0]);
  const Shape& out = shape_of(graph, node.outputs[0]);
  const std::size_t spatial = in.size() - 2;
  Window w;
  w.in.assign(in.begin() + 2, in.end());
  w.out.assign(out.begin() + 2, out.end());
  w.kernel = node.op.starts_with("Conv") ? kernel_of(graph, node)
                                         : spatial_ints(node, "kernel_shape", spatial, 1);
  w.strides = spatial_ints(node, "strides", spatial, 1);
  w.dilations = spatial_ints(node, "dilations", spatial, 1);
  w.output_padding = spatial_ints(node, "output_padding", spatial, 0);
  return w;
}

/// Elements of padding that make the window reach from the input's extent to the output's; negative
/// where the input is larger than the windows need (Conv, pools) or the output larger than they
/// reach (ConvTranspose).
std::int64_t total_padding(const Window& w, std::size_t i, bool transposed) {
  const std::int64_t reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
  if (transposed) return (w.in[i] - 1) * w.strides[i] + w.output_padding[i] + reach - w.out[i];
  return (w.out[i] - 1) * w.strides[i] + reach - w.in[i];
}

bool resolve(Graph& graph, NodeId id) {
  constexpr std::array kOps = {"Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool"};
  Node& node = graph.node(id);
  if (std::find(kOps.begin(), kOps.end(), node.op) == kOps.end()) return false;
  // MaxPool may be asked for its indices alone.
  if (node.outputs.at(0) == kNone) return false;
  const std::string mode = node.attributes.get_string("auto_pad", "NOTSET");
  const bool transposed = node.op == "ConvTranspose";
  const bool by_output_shape = transposed && node.attributes.has("output_shape");
  if (mode == "NOTSET" && !by_output_shape) {
    const bool stated = node.attributes.has("auto_pad");
    node.attributes.erase("auto_pad");
    return stated;
  }
  const Window w = window_of(graph, node);
  const std::size_t spatial = w.in.size();
  std::vector<std::int64_t> pads(2 * spatial, 0);
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t total = total_padding(w, i, transposed);
    // More output than the windows reach: pads cannot express it, the operator itself can.
    if (transposed && total < 0) return false;
    if (total <= 0 || (mode == "VALID" && !by_output_shape)) continue;
    // SAME_LOWER puts the odd element first; so does an output_shape without SAME_UPPER (ONNX,
    // ConvTranspose).
    const bool odd_at_end = mode == "SAME_UPPER";
    pads[i] = odd_at_end ? total / 2 : total - total / 2;
    pads[spatial + i] = total - pads[i];
  }
  node.attributes.set("pads", pads);
  node.attributes.erase("auto_pad");
  node.attributes.erase("output_shape");
  // SAME and VALID define the output's extent themselves; with these pads rounding down gives the
  // same one.
  node.attributes.erase("ceil_mode");
  return true;
}

}  // namespace

std::int64_t resolve_auto_pad(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return resolve(graph, id); });
}

}  // namespace espquant::passes
