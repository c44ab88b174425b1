#include <algorithm>

#include "ops/window.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ESP-DL's AveragePool divides by the whole window (ESP-DL 3.6). Where fewer elements count, at
/// the border, its results are multiplied by what makes up for it.
namespace espquant::passes {
namespace {

/// The share of window `o` that counts, inverted; 0 where nothing does.
float correction(const ops::WindowAxis& axis, std::int64_t o, bool include_pad) {
  const ops::Range taps =
      include_pad ? axis.taps_within(o, -axis.pad_begin, axis.in + axis.pad_end) : axis.taps(o);
  const std::int64_t count = taps.end - taps.begin;
  return count == 0 ? 0.F : static_cast<float>(axis.kernel) / static_cast<float>(count);
}

bool rewrite_pool(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "AveragePool" || graph.value(node.outputs[0]).dtype != DType::Float32)
    return false;
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  const std::size_t spatial = in.size() - 2;
  if (spatial > 2) return false;
  const bool include_pad = node.attributes.get_int("count_include_pad", 0) != 0,
             ceil_mode = node.attributes.get_int("ceil_mode", 0) != 0;
  const auto kernel = spatial_ints(node, "kernel_shape", spatial, 1);
  const ops::Window window = ops::make_window(node.attributes, in, kernel, ceil_mode);
  std::vector<std::int64_t> pads(2 * spatial, 0);
  Shape shape(spatial, 1);
  std::vector<std::vector<float>> factors;
  bool partial = false;
  for (std::size_t i = 0; i < spatial; ++i) {
    const ops::WindowAxis& axis = window[3 - spatial + i];
    if (axis.dilation != 1) return false;
    const std::int64_t needed =
        (axis.out - 1) * axis.stride + axis.kernel - axis.in - axis.pad_begin;
    pads[i] = axis.pad_begin;
    pads[i + spatial] = std::max(axis.pad_end, needed);
    if (pads[i + spatial] >= axis.kernel) return false;
    shape[i] = axis.out;
    factors.emplace_back();
    for (std::int64_t o = 0; o < axis.out; ++o) {
      factors[i].push_back(correction(axis, o, include_pad));
      partial = partial || factors[i].back() != 1.F;
    }
  }
  const bool padded = std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p != 0; });
  if (!padded || (!partial && include_pad && !ceil_mode)) return false;
  Attributes attributes;
  attributes.set("kernel_shape", kernel);
  attributes.set("strides", spatial_ints(node, "strides", spatial, 1));
  attributes.set("pads", pads);
  attributes.set("count_include_pad", std::int64_t{1});
  if (!partial) {
    become(graph, id, "AveragePool", {node.inputs[0]}, std::move(attributes));
    return true;
  }
  const ValueId whole = insert_node(graph, "AveragePool", node.name + "_whole", {node.inputs[0]},
                                    DType::Float32, out, std::move(attributes));
  Shape broadcast_shape(out.size(), 1);
  std::copy(shape.begin(), shape.end(), broadcast_shape.begin() + 2);
  Tensor factor(DType::Float32, broadcast_shape);
  auto values = factor.mutable_data<float>();
  const std::size_t inner = factors.back().size();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = factors.back()[i % inner] * (spatial == 2 ? factors.front()[i / inner] : 1.F);
  become(graph, id, "Mul", {whole, add_constant(graph, node.name + "_share", std::move(factor))});
  return true;
}

}  // namespace

std::int64_t count_average_padding(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_pool(graph, id); });
}

}  // namespace espquant::passes
