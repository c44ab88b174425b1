#include <algorithm>
#include <array>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// What a Pad node puts around its input; nothing where that is no one number.
std::optional<float> padded_with(const Graph& graph, const Node& pad) {
  if (pad.attributes.get_string("mode", "constant") != "constant") return std::nullopt;
  return pad.input(2) == kNone ? 0.F : scalar_of(graph, pad.input(2));
}

/// So low that it only says "nothing": what MaxPool pads with by itself.
bool is_nothing(float value) { return value <= -1e9F; }

/// The pads of a Pad node over its spatial axes (begins, then ends) when it puts something around
/// space alone.
std::optional<std::vector<std::int64_t>> spatial_pads_of(const Graph& graph, const Node& pad) {
  if (pad.input(3) != kNone) return std::nullopt;
  const auto pads = ints_of(graph, pad.input(1));
  const auto rank = static_cast<std::size_t>(rank_of(graph, pad.inputs[0]));
  if (!pads || rank < 3 || pads->size() != 2 * rank) return std::nullopt;
  if (std::any_of(pads->begin(), pads->end(), [](std::int64_t p) { return p < 0; }))
    return std::nullopt;
  std::vector<std::int64_t> spatial;
  for (std::size_t side : {std::size_t{0}, rank}) {
    if ((*pads)[side] != 0 || (*pads)[side + 1] != 0) return std::nullopt;
    for (std::size_t axis = 2; axis < rank; ++axis) spatial.push_back((*pads)[side + axis]);
  }
  return spatial;
}

/// True when no element of `v` is negative, by the node that computes it.
bool is_non_negative(const Graph& graph, ValueId v) {
  constexpr std::array kNonNegative = {"Relu", "Sigmoid", "HardSigmoid", "Abs",
                                       "Exp",  "Sqrt",    "Softmax",     "Softplus"};
  constexpr std::array kKeepsSign = {"MaxPool",       "AveragePool", "GlobalAveragePool",
                                     "GlobalMaxPool", "Transpose",   "Reshape",
                                     "Slice",         "Identity"};
  const auto is_one_of = [](const auto& ops, const std::string& op) {
    return std::find(ops.begin(), ops.end(), op) != ops.end();
  };
  NodeId id = graph.value(v).producer;
  while (id != kNone && is_one_of(kKeepsSign, graph.node(id).op))
    id = graph.value(graph.node(id).inputs[0]).producer;
  if (id == kNone) return false;
  const Node& node = graph.node(id);
  if (is_one_of(kNonNegative, node.op)) return true;
  if (node.op != "Clip") return false;
  const auto low = scalar_of(graph, node.input(1));
  return low && *low >= 0;
}

bool has_no_pads(const Node& node) {
  const auto pads = node.attributes.get_ints("pads");
  return std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; });
}

/// Around values that are not negative, zeros and the "nothing" that MaxPool pads with give the
/// same maximum, as long as every window holds at least one element.
bool max_pool_may_absorb(const Graph& graph, const Node& pool,
                         const std::vector<std::int64_t>& pads, ValueId padded, float value) {
  const auto kernel = spatial_ints(pool, "kernel_shape", pads.size() / 2, 1);
  const auto dilations = spatial_ints(pool, "dilations", pads.size() / 2, 1);
  if (pool.attributes.get_int("ceil_mode", 0) != 0 || pool.outputs.size() > 1) return false;
  if (is_nothing(value)) return true;
  if (value != 0 || !has_no_pads(pool)) return false;
  if (std::any_of(dilations.begin(), dilations.end(), [](std::int64_t d) { return d != 1; }))
    return false;
  for (std::size_t i = 0; i < pads.size(); ++i)
    if (pads[i] >= kernel[i % kernel.size()]) return false;
  return is_non_negative(graph, padded);
}

/// Zeros that were part of the input count in every mean; so do pads with count_include_pad.
/// Rounding up would add windows beyond the pads, whose means count less.
bool average_pool_may_absorb(const Node& pool) {
  return pool.attributes.get_int("ceil_mode", 0) == 0 &&
         (has_no_pads(pool) || pool.attributes.get_int("count_include_pad", 0) != 0);
}

/// Pads of a window's own are smaller than the window, in ONNX and in ESP-DL's kernels
/// (ESP-DL 3.1).
bool every_window_sees_input(const Graph& graph, const Node& window,
                             const std::vector<std::int64_t>& pads) {
  const std::size_t axes = pads.size() / 2;
  auto kernel = spatial_ints(window, "kernel_shape", axes, 1);
  if (window.op == "Conv") {
    const Shape& filter = *graph.value(window.inputs[1]).shape;
    kernel.assign(filter.begin() + 2, filter.end());
  }
  const auto dilations = spatial_ints(window, "dilations", axes, 1);
  for (std::size_t i = 0; i < pads.size(); ++i)
    if (pads[i] > (kernel.at(i % axes) - 1) * dilations.at(i % axes)) return false;
  return true;
}

bool merge_pad(Graph& graph, NodeId id) {
  const Node& pad = graph.node(id);
  if (pad.op != "Pad") return false;
  const ValueId in = pad.inputs[0], out = pad.outputs[0];
  const auto extra = spatial_pads_of(graph, pad);
  const auto value = padded_with(graph, pad);
  const NodeId reader = only_reader(graph, out);
  if (!extra || !value || reader == kNone || graph.node(reader).inputs[0] != out) return false;
  Node& window = graph.node(reader);
  if (window.attributes.get_string("auto_pad", "NOTSET") != "NOTSET") return false;
  const bool fits =
      (window.op == "Conv" && *value == 0) ||
      (window.op == "AveragePool" && *value == 0 && average_pool_may_absorb(window)) ||
      (window.op == "MaxPool" && max_pool_may_absorb(graph, window, *extra, in, *value));
  if (!fits) return false;
  auto pads = spatial_ints(window, "pads", extra->size(), 0);
  for (std::size_t i = 0; i < extra->size(); ++i) pads.at(i) += (*extra)[i];
  if (!every_window_sees_input(graph, window, pads)) return false;
  window.attributes.set("pads", pads);
  if (window.op == "AveragePool") window.attributes.set("count_include_pad", std::int64_t{1});
  graph.set_input(reader, 0, in);
  return true;
}

}  // namespace

std::int64_t merge_pads(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_pad(graph, id); });
}

}  // namespace espquant::passes
