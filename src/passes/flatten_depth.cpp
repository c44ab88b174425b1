#include <algorithm>

#include "ops/window.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Convolutions and pools over N,C,D,H,W by those over N,C,H,W: the depths that one output sees
/// become channels.
namespace espquant::passes {
namespace {

/// Outputs along the depth that are written out one by one.
constexpr std::int64_t kMostDepths = 32;

ops::Window window_over_depth(const Node& node, const Shape& in,
                              const std::vector<std::int64_t>& kernel) {
  return ops::make_window(node.attributes, in, kernel,
                          node.attributes.get_int("ceil_mode", 0) != 0);
}

/// The node's attributes for rows and columns alone.
Attributes plane_attributes(const Node& node, const ops::Window& w) {
  Attributes attributes;
  attributes.set("kernel_shape", std::vector<std::int64_t>{w[1].kernel, w[2].kernel});
  attributes.set("strides", std::vector<std::int64_t>{w[1].stride, w[2].stride});
  attributes.set("dilations", std::vector<std::int64_t>{w[1].dilation, w[2].dilation});
  attributes.set("pads", std::vector<std::int64_t>{w[1].pad_begin, w[2].pad_begin, w[1].pad_end,
                                                   w[2].pad_end});
  for (const char* kept : {"ceil_mode", "count_include_pad"})
    if (node.attributes.has(kept)) attributes.set(kept, node.attributes.get_int(kept, 0));
  return attributes;
}

/// Weights (M,C,T,...) of the taps [begin, end), taps within channels: (M,C*(end-begin),kh,kw).
Tensor taps_of(const Tensor& weights, const ops::Range& taps) {
  const Shape& s = weights.shape();
  const std::int64_t plane = s[3] * s[4], count = taps.end - taps.begin;
  Tensor part(DType::Float32, {s[0], s[1] * count, s[3], s[4]});
  const auto from = weights.data<float>();
  auto to = part.mutable_data<float>().begin();
  for (std::int64_t block = 0; block < s[0] * s[1]; ++block) {
    const auto first = from.begin() + (block * s[2] + taps.begin) * plane;
    to = std::copy(first, first + count * plane, to);
  }
  return part;
}

bool flatten_conv(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Tensor* given = constant_of(graph, node.input(1));
  if (given == nullptr || given->dtype() != DType::Float32) return false;
  const Tensor weights = *given;
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  if (out[2] > kMostDepths) return false;
  const Shape& ws = weights.shape();
  const ops::Window w = window_over_depth(node, in, {ws.begin() + 2, ws.end()});
  std::vector<ValueId> depths;
  for (std::int64_t o = 0; o < w[0].out; ++o) {
    const ops::Range taps = w[0].taps(o);
    // A window in the padding alone sees zeros.
    if (taps.begin == taps.end) return false;
    std::vector<std::int64_t> positions;
    for (std::int64_t t = taps.begin; t < taps.end; ++t)
      positions.push_back(w[0].origin(o) + t * w[0].dilation);
    const auto count = static_cast<std::int64_t>(positions.size());
    ValueId v = insert_gather(graph, node.name + "_depths", node.inputs[0], 2, positions);
    v = insert_reshape(graph, node.name + "_plane", v, {in[0], in[1] * count, in[3], in[4]});
    Attributes attributes = plane_attributes(node, w);
    attributes.erase("ceil_mode");
    attributes.set("group", node.attributes.get_int("group", 1));
    std::vector<ValueId> inputs{v,
                                add_constant(graph, node.name + "_taps", taps_of(weights, taps))};
    if (node.input(2) != kNone) inputs.push_back(node.inputs[2]);
    v = insert_node(graph, "Conv", node.name + "_flat", inputs, DType::Float32,
                    {out[0], out[1], out[3], out[4]}, std::move(attributes));
    depths.push_back(
        insert_reshape(graph, node.name + "_depth", v, {out[0], out[1], 1, out[3], out[4]}));
  }
  take_over(graph, id, insert_concat(graph, node.name + "_all", depths, 2));
  return true;
}

/// First over rows and columns of every depth, then over the depths of every place: maxima do not
/// mind, and what an average divides by is a product.
bool flatten_pool(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.outputs.size() > 1 && node.outputs[1] != kNone) return false;
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  const ops::Window w = window_over_depth(node, in, node.attributes.get_ints("kernel_shape"));
  ValueId v = insert_reshape(graph, node.name + "_plane", node.inputs[0],
                             {in[0], in[1] * in[2], in[3], in[4]});
  v = insert_node(graph, node.op, node.name + "_flat", {v}, DType::Float32,
                  {in[0], in[1] * in[2], out[3], out[4]}, plane_attributes(node, w));
  if (w[0].kernel != 1 || w[0].stride != 1 || w[0].pad_begin != 0 || w[0].pad_end != 0) {
    Attributes attributes;
    attributes.set("kernel_shape", std::vector<std::int64_t>{w[0].kernel, 1});
    attributes.set("strides", std::vector<std::int64_t>{w[0].stride, 1});
    attributes.set("dilations", std::vector<std::int64_t>{w[0].dilation, 1});
    attributes.set("pads", std::vector<std::int64_t>{w[0].pad_begin, 0, w[0].pad_end, 0});
    for (const char* kept : {"ceil_mode", "count_include_pad"})
      if (node.attributes.has(kept)) attributes.set(kept, node.attributes.get_int(kept, 0));
    v = insert_reshape(graph, node.name + "_column", v, {in[0], in[1], in[2], out[3] * out[4]});
    v = insert_node(graph, node.op, node.name + "_deep", {v}, DType::Float32,
                    {in[0], in[1], out[2], out[3] * out[4]}, std::move(attributes));
  }
  become(graph, id, "Reshape", {v, add_ints(graph, node.name + "_shape", out)});
  return true;
}

bool flatten_global_pool(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  ValueId v = insert_reshape(graph, node.name + "_plane", node.inputs[0],
                             {in[0], in[1], in[2] * in[3], in[4]});
  v = insert_node(graph, node.op, node.name + "_flat", {v}, DType::Float32, {in[0], in[1], 1, 1});
  become(graph, id, "Reshape", {v, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t flatten_depth(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const Node& node = graph.node(id);
    if (node.inputs.empty() || node.inputs[0] == kNone || rank_of(graph, node.inputs[0]) != 5 ||
        graph.value(node.inputs[0]).dtype != DType::Float32)
      return false;
    if (node.op == "Conv") return flatten_conv(graph, id);
    if (node.op == "MaxPool" || node.op == "AveragePool") return flatten_pool(graph, id);
    if (node.op == "GlobalAveragePool" || node.op == "GlobalMaxPool")
      return flatten_global_pool(graph, id);
    return false;
  });
}

}  // namespace espquant::passes
