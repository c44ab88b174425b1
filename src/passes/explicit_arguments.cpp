#include <algorithm>
#include <numeric>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

std::vector<std::size_t> normalized_axes(std::vector<std::int64_t> axes, std::int64_t rank) {
  std::vector<std::size_t> result;
  for (std::int64_t axis : axes)
    result.push_back(static_cast<std::size_t>(normalize_axis(axis, rank)));
  return result;
}

bool spell_out_transpose(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  if (node.attributes.has("perm")) return false;
  std::vector<std::int64_t> perm(shape_of(graph, node.inputs[0]).size());
  std::iota(perm.rbegin(), perm.rend(), 0);
  node.attributes.set("perm", perm);
  return true;
}

bool spell_out_split(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  if (node.input(1) != kNone) return false;
  const std::int64_t rank = rank_of(graph, node.inputs[0]);
  const auto axis =
      static_cast<std::size_t>(normalize_axis(node.attributes.get_int("axis", 0), rank));
  std::vector<std::int64_t> sizes;
  for (ValueId part : node.outputs) {
    if (part == kNone) return false;
    sizes.push_back(shape_of(graph, part)[axis]);
  }
  node.attributes.erase("num_outputs");
  graph.set_input(id, 1, add_ints(graph, node.name + "_split", sizes));
  return true;
}

bool spell_out_pad(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto axes = ints_of(graph, node.input(3)), pads = ints_of(graph, node.input(1));
  if (!axes || !pads || pads->size() != 2 * axes->size()) return false;
  const std::int64_t rank = rank_of(graph, node.inputs[0]);
  const auto wide = static_cast<std::size_t>(rank);
  std::vector<std::int64_t> all(2 * wide, 0);
  const auto at = normalized_axes(*axes, rank);
  for (std::size_t i = 0; i < at.size(); ++i) {
    all[at[i]] = (*pads)[i];
    all[wide + at[i]] = (*pads)[at.size() + i];
  }
  const ValueId full = add_ints(graph, node.name + "_pads", all);
  set_inputs(graph, id, {node.inputs[0], full, node.input(2)});
  return true;
}

/// roi only matters to tf_crop_and_resize; `axes` are spread over all extents.
bool spell_out_resize(Graph& graph, NodeId id) {
  const std::string mode =
      graph.node(id).attributes.get_string("coordinate_transformation_mode", "half_pixel");
  const std::string policy =
      graph.node(id).attributes.get_string("keep_aspect_ratio_policy", "stretch");
  if (mode == "tf_crop_and_resize") return false;
  bool changed = graph.node(id).input(1) != kNone;
  if (changed) graph.set_input(id, 1, kNone);
  if (!graph.node(id).attributes.has("axes") || policy != "stretch") return changed;

  const Node& node = graph.node(id);
  const Shape& in = shape_of(graph, node.inputs[0]);
  const auto axes =
      normalized_axes(node.attributes.get_ints("axes"), static_cast<std::int64_t>(in.size()));
  const Tensor* scales = constant_of(graph, node.input(2));
  const auto sizes = ints_of(graph, node.input(3));
  if (scales != nullptr && scales->size() == static_cast<std::int64_t>(axes.size()) &&
      !axes.empty()) {
    std::vector<float> all(in.size(), 1.F);
    for (std::size_t i = 0; i < axes.size(); ++i) all[axes[i]] = scales->data<float>()[i];
    Tensor full = Tensor::of<float>({static_cast<std::int64_t>(all.size())}, all);
    graph.set_input(id, 2, add_constant(graph, node.name + "_scales", std::move(full)));
  } else if (sizes && sizes->size() == axes.size()) {
    Shape all = in;
    for (std::size_t i = 0; i < axes.size(); ++i) all[axes[i]] = (*sizes)[i];
    graph.set_input(id, 3, add_ints(graph, node.name + "_sizes", all));
  } else {
    return changed;
  }
  graph.node(id).attributes.erase("axes");
  return true;
}

/// ONNX: where the lower bound exceeds the upper one, the upper one is the result.
bool order_bounds(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto low = scalar_of(graph, node.input(1)), high = scalar_of(graph, node.input(2));
  if (!low || !high || !(*low > *high)) return false;
  graph.set_input(id, 1, node.inputs[2]);
  return true;
}

}  // namespace

std::int64_t explicit_arguments(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const std::string& op = graph.node(id).op;
    if (op == "Transpose") return spell_out_transpose(graph, id);
    if (op == "Split") return spell_out_split(graph, id);
    if (op == "Pad") return spell_out_pad(graph, id);
    if (op == "Resize") return spell_out_resize(graph, id);
    if (op == "Clip") return order_bounds(graph, id);
    return false;
  });
}

}  // namespace espquant::passes
