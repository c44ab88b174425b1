#include <array>
#include <cmath>
#include <span>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/weighted.h"

namespace espquant::passes {
namespace {

/// BatchNormalization in inference: y = x * scale + shift, per channel. Computed in double:
/// variances near zero make large scales. Nothing when a parameter is not constant, or the node
/// trains.
std::optional<Affine> affine_of(const Graph& graph, const Node& node) {
  if (node.op != "BatchNormalization" || node.inputs.size() < 5 ||
      node.attributes.get_int("training_mode", 0) != 0 || !only_first_output_used(graph, node))
    return std::nullopt;
  std::array<std::span<const float>, 4> p;  // gamma, beta, mean, variance
  for (std::size_t i = 0; i < p.size(); ++i) {
    const Tensor* t = constant_of(graph, node.inputs[i + 1]);
    if (t == nullptr || t->dtype() != DType::Float32) return std::nullopt;
    p[i] = t->data<float>();
    if (p[i].size() != p[0].size()) return std::nullopt;
  }
  const double epsilon = node.attributes.get_float("epsilon", 1e-5F);
  Affine affine;
  for (std::size_t c = 0; c < p[0].size(); ++c) {
    const double scale = p[0][c] / std::sqrt(static_cast<double>(p[3][c]) + epsilon);
    affine.scale.push_back(scale);
    affine.shift.push_back(p[1][c] - scale * p[2][c]);
  }
  return affine;
}

Tensor to_tensor(const std::vector<double>& values, Shape shape) {
  return Tensor::of<float>(std::move(shape), std::vector<float>(values.begin(), values.end()));
}

/// A BatchNormalization that stands alone over N,C,W or N,C,H,W: a depthwise convolution of one
/// element.
void become_depthwise(Graph& graph, NodeId id, const Affine& affine) {
  const Node node = graph.node(id);
  const Shape& in = shape_of(graph, node.inputs[0]);
  const std::size_t spatial = in.size() - 2;
  const std::int64_t channels = in[1];
  Shape weight_shape(in.size(), 1);
  weight_shape[0] = channels;
  const ValueId weight =
      add_constant(graph, node.name + "_weight", to_tensor(affine.scale, weight_shape));
  const ValueId bias =
      add_constant(graph, node.name + "_bias", to_tensor(affine.shift, {channels}));
  Attributes attributes;
  attributes.set("group", channels);
  attributes.set("kernel_shape", std::vector<std::int64_t>(spatial, 1));
  become(graph, id, "Conv", {node.inputs[0], weight, bias}, std::move(attributes));
}

/// Over N,C: a Mul and an Add.
void become_mul_add(Graph& graph, NodeId id, const Affine& affine) {
  const Node node = graph.node(id);
  const Shape shape = shape_of(graph, node.inputs[0]);
  const ValueId scale =
      add_constant(graph, node.name + "_scale", to_tensor(affine.scale, {shape.at(1)}));
  const ValueId shift =
      add_constant(graph, node.name + "_shift", to_tensor(affine.shift, {shape.at(1)}));
  const ValueId product = insert_node(graph, "Mul", node.name + "_scaled", {node.inputs[0], scale},
                                      DType::Float32, shape);
  become(graph, id, "Add", {product, shift});
}

bool fold_into_weights(Graph& graph, NodeId id) {
  const auto affine = affine_of(graph, graph.node(id));
  if (!affine) return false;
  const ValueId in = graph.node(id).inputs[0], out = graph.node(id).outputs[0];
  const Shape shape = shape_of(graph, in);
  if (shape.size() < 2 || shape[1] != static_cast<std::int64_t>(affine->scale.size())) return false;

  if (const NodeId before = graph.value(in).producer;
      before != kNone && only_reader(graph, in) == id && can_scale_outputs(graph, before)) {
    scale_outputs(graph, before, *affine);
    bypass(graph, id, in);
    return true;
  }
  if (const NodeId after = only_reader(graph, out, "Gemm");
      after != kNone && graph.node(after).inputs[0] == out && can_scale_outputs(graph, after)) {
    scale_gemm_inputs(graph, after, *affine);
    graph.set_input(after, 0, in);
    return true;
  }
  if (shape.size() == 2) {
    become_mul_add(graph, id, *affine);
  } else if (shape.size() <= 4) {
    become_depthwise(graph, id, *affine);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::int64_t fold_batch_normalization(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fold_into_weights(graph, id); });
}

}  // namespace espquant::passes
