#include <algorithm>
#include <limits>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

bool is_one_of(std::string_view op, std::initializer_list<std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

/// An attribute that later became input `index`.
bool ints_to_input(Graph& graph, NodeId id, std::string_view attribute, std::size_t index) {
  Node& node = graph.node(id);
  if (!node.attributes.has(attribute)) return false;
  const auto values = node.attributes.get_ints(attribute);
  node.attributes.erase(attribute);
  const ValueId input = add_ints(graph, node.name + "_" + std::string(attribute), values);
  graph.set_input(id, index, input);
  return true;
}

void set_float_input(Graph& graph, NodeId id, std::size_t index, std::string_view name,
                     float value) {
  const ValueId input =
      add_constant(graph, graph.node(id).name + "_" + std::string(name), Tensor::scalar(value));
  graph.set_input(id, index, input);
}

/// Clip before 11: the bounds are attributes.
bool upgrade_clip(Graph& graph, NodeId id) {
  Attributes& attributes = graph.node(id).attributes;
  const float lowest = std::numeric_limits<float>::lowest(),
              highest = std::numeric_limits<float>::max();
  const float low = attributes.get_float("min", lowest),
              high = attributes.get_float("max", highest);
  attributes.erase("min");
  attributes.erase("max");
  if (low != lowest) set_float_input(graph, id, 1, "min", low);
  if (high != highest) set_float_input(graph, id, 2, "max", high);
  return true;
}

/// Pad before 11: pads and value are attributes.
bool upgrade_pad(Graph& graph, NodeId id) {
  const float value = graph.node(id).attributes.get_float("value", 0);
  graph.node(id).attributes.erase("value");
  const bool moved = ints_to_input(graph, id, "pads", 1);
  if (value != 0) set_float_input(graph, id, 2, "value", value);
  return moved;
}

/// Slice before 10: starts, ends and axes are attributes.
bool upgrade_slice(Graph& graph, NodeId id) {
  ints_to_input(graph, id, "starts", 1);
  ints_to_input(graph, id, "ends", 2);
  ints_to_input(graph, id, "axes", 3);
  return true;
}

bool upgrade_top_k(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  const std::int64_t k = node.attributes.get_int("k", 0);
  node.attributes.erase("k");
  graph.set_input(id, 1, add_ints(graph, node.name + "_k", {k}));
  return true;
}

/// Upsample, and Resize of opset 10, map an output coordinate to x / scale, and nearest rounds it
/// down.
bool upgrade_resize(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  std::string mode = node.attributes.get_string("mode", "nearest");
  if (mode == "bilinear" || mode == "trilinear") mode = "linear";
  ValueId scales = node.input(1);
  if (scales == kNone) {
    const auto values = node.attributes.get_floats("scales");
    scales = add_constant(graph, node.name + "_scales",
                          Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values));
  }
  Attributes attributes;
  attributes.set("mode", mode);
  attributes.set("coordinate_transformation_mode", std::string("asymmetric"));
  if (mode == "nearest") attributes.set("nearest_mode", std::string("floor"));
  become(graph, id, "Resize", {graph.node(id).inputs[0], kNone, scales}, std::move(attributes));
  return true;
}

/// Before 13, Softmax ran over all axes from `axis` on at once: over a matrix of the axes before
/// and the axes from there on. Over the last axis (or one followed by extents of 1) that is the
/// Softmax of today.
bool upgrade_softmax(Graph& graph, NodeId id) {
  Node& node = graph.node(id);
  const Shape shape = shape_of(graph, node.inputs[0]);
  const auto rank = static_cast<std::int64_t>(shape.size());
  // A vector has no axis 1, but exporters left the default in place.
  const std::int64_t axis = normalize_axis(node.attributes.get_int("axis", rank > 1 ? 1 : 0), rank);
  const auto split = shape.begin() + axis;
  if (std::all_of(split + 1, shape.end(), [](std::int64_t extent) { return extent == 1; })) {
    node.attributes.set("axis", axis);
    return true;
  }
  const Shape matrix = {element_count({shape.begin(), split}), element_count({split, shape.end()})};
  const DType dtype = graph.value(node.inputs[0]).dtype;
  const std::string name = node.name, op = node.op;
  const ValueId flat_shape = add_ints(graph, name + "_matrix", matrix);
  const ValueId flat =
      insert_node(graph, "Reshape", name + "_flat", {node.inputs[0], flat_shape}, dtype, matrix);
  Attributes attributes;
  attributes.set("axis", std::int64_t{-1});
  const ValueId result =
      insert_node(graph, op, name + "_rows", {flat}, dtype, matrix, std::move(attributes));
  become(graph, id, "Reshape", {result, add_ints(graph, name + "_shape", shape)});
  return true;
}

/// Before 21, scale and bias were given per group.
bool upgrade_group_normalization(Graph& graph, NodeId id) {
  const std::int64_t channels = shape_of(graph, graph.node(id).inputs[0]).at(1);
  const std::int64_t groups = graph.node(id).attributes.get_int("num_groups", 1);
  bool changed = false;
  for (std::size_t input : {std::size_t{1}, std::size_t{2}}) {
    const Tensor* per_group = constant_of(graph, graph.node(id).input(input));
    if (per_group == nullptr || per_group->dtype() != DType::Float32 ||
        per_group->size() != groups || channels % groups != 0)
      continue;
    std::vector<float> per_channel;
    for (float v : per_group->data<float>())
      per_channel.insert(per_channel.end(), static_cast<std::size_t>(channels / groups), v);
    const std::string name = graph.value(graph.node(id).inputs[input]).name + "_per_channel";
    graph.set_input(id, input,
                    add_constant(graph, name, Tensor::of<float>({channels}, per_channel)));
    changed = true;
  }
  return changed;
}

bool upgrade(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const std::string_view op = node.op;
  const std::int64_t opset = graph.opset;
  if (!node.domain.empty()) return false;
  if (op == "Clip" && opset < 11) return upgrade_clip(graph, id);
  if (op == "Pad" && opset < 11) return upgrade_pad(graph, id);
  if (op == "Slice" && opset < 10) return upgrade_slice(graph, id);
  if (op == "TopK" && opset < 10) return upgrade_top_k(graph, id);
  if (op == "Upsample" || (op == "Resize" && opset < 11)) return upgrade_resize(graph, id);
  if (is_one_of(op, {"Softmax", "LogSoftmax", "Hardmax"}) && opset < 13)
    return upgrade_softmax(graph, id);
  if (is_one_of(op, {"Squeeze", "Unsqueeze", "ReduceSum"}) && opset < 13)
    return ints_to_input(graph, id, "axes", 1);
  if (op.starts_with("Reduce") && opset < 18) return ints_to_input(graph, id, "axes", 1);
  if (op == "Split" && opset < 13) return ints_to_input(graph, id, "split", 1);
  if (op == "GroupNormalization" && opset < 21) return upgrade_group_normalization(graph, id);
  return false;
}

}  // namespace

std::int64_t upgrade_opset(Graph& graph) {
  std::int64_t changes = for_each_node(graph, [&](NodeId id) { return upgrade(graph, id); });
  if (graph.opset != kCanonicalOpset) ++changes;
  graph.opset = kCanonicalOpset;
  return changes;
}

}  // namespace espquant::passes
