#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Resize along axes of one element: whatever the mode, that element is repeated.
namespace espquant::passes {
namespace {

bool rewrite_resize(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "Resize" || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  if (node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize")
    return false;
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  Shape rest = out;
  bool repeats = false;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] != 1 || out[i] <= 1) continue;
    rest[i] = 1;
    repeats = true;
  }
  if (!repeats) return false;
  ValueId resized = node.inputs[0];
  if (rest != in) {
    if (node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch")
      return false;
    std::vector<ValueId> inputs = node.inputs;
    if (const Tensor* scales = constant_of(graph, node.input(2));
        scales != nullptr && scales->size() > 0) {
      if (scales->size() != static_cast<std::int64_t>(in.size())) return false;
      Tensor changed = *scales;
      for (std::size_t i = 0; i < in.size(); ++i)
        if (rest[i] != out[i]) changed.mutable_data<float>()[i] = 1;
      inputs[2] = add_constant(graph, node.name + "_scales", std::move(changed));
    } else {
      const auto sizes = ints_of(graph, node.input(3));
      if (!sizes || sizes->size() != in.size()) return false;
      inputs[3] = add_ints(graph, node.name + "_sizes", rest);
    }
    resized = insert_node(graph, "Resize", node.name + "_rest", inputs, DType::Float32, rest,
                          node.attributes);
  }
  become(graph, id, "Expand", {resized, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t resize_single(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_resize(graph, id); });
}

}  // namespace espquant::passes
