#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ESP-DL's PRelu takes N,C,H,W and one slope per channel, or one for all. Other ranks are reshaped
/// to it; other slopes become relu(x) - slope * relu(-x).
namespace espquant::passes {
namespace {

void by_halves(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const ValueId x = node.inputs[0];
  const Shape shape = shape_of(graph, x), out = shape_of(graph, node.outputs[0]);
  const ValueId above =
      insert_node(graph, "Relu", node.name + "_above", {x}, DType::Float32, shape);
  const ValueId negative =
      insert_node(graph, "Neg", node.name + "_negative", {x}, DType::Float32, shape);
  const ValueId below =
      insert_node(graph, "Relu", node.name + "_below", {negative}, DType::Float32, shape);
  const ValueId slanted = insert_node(graph, "Mul", node.name + "_slanted", {below, node.inputs[1]},
                                      DType::Float32, out);
  become(graph, id, "Sub", {above, slanted});
}

bool rewrite_prelu(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "PRelu" || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  const Shape shape = shape_of(graph, node.inputs[0]);
  const Tensor* slope = constant_of(graph, node.input(1));
  if (slope != nullptr && slope->size() == 1) return false;
  const auto slopes =
      shape.size() < 2 ? std::nullopt : per_channel_constant(graph, node.input(1), shape, 1);
  if (!slopes) {
    by_halves(graph, id);
    return true;
  }
  if (shape.size() == 4) return false;
  const std::int64_t channels = shape[1];
  const Shape plane{shape[0], channels, element_count(shape) / (shape[0] * channels), 1};
  const ValueId v = insert_reshape(graph, node.name + "_plane", node.inputs[0], plane);
  const ValueId alpha =
      add_constant(graph, node.name + "_slope", Tensor::of<float>({channels, 1, 1}, *slopes));
  const ValueId bent =
      insert_node(graph, "PRelu", node.name + "_bent", {v, alpha}, DType::Float32, plane);
  become(graph, id, "Reshape", {bent, add_ints(graph, node.name + "_shape", shape)});
  return true;
}

}  // namespace

std::int64_t shape_prelu(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_prelu(graph, id); });
}

}  // namespace espquant::passes
