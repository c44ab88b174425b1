#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// InstanceNormalization, GroupNormalization, and BatchNormalization by the statistics of one
/// sample, as LayerNormalization of one row per group, and a gain and bias per channel behind it.
namespace espquant::passes {
namespace {

Tensor filled(std::int64_t count, float value) {
  Tensor t(DType::Float32, {count});
  for (float& v : t.mutable_data<float>()) v = value;
  return t;
}

bool all_are(const Tensor& t, float value) {
  for (const float v : t.data<float>())
    if (v != value) return false;
  return true;
}

/// One value per channel, to be broadcast over N,C,...; from one per channel or one per group.
Tensor per_channel(const Tensor& given, std::int64_t channels, std::size_t spatial) {
  const std::int64_t each = channels / given.size();
  Shape shape(spatial + 1, 1);
  shape[0] = channels;
  Tensor t(DType::Float32, shape);
  auto values = t.mutable_data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = given.data<float>()[i / static_cast<std::size_t>(each)];
  return t;
}

/// BatchNormalization by the statistics of a batch of one.
bool is_of_one_instance(const Graph& graph, const Node& node) {
  return node.op == "BatchNormalization" && node.attributes.get_int("training_mode", 0) != 0 &&
         shape_of(graph, node.inputs[0])[0] == 1 && rank_of(graph, node.inputs[0]) >= 3 &&
         only_first_output_used(graph, node);
}

bool decompose_groups(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "InstanceNormalization" && node.op != "GroupNormalization" &&
      !is_of_one_instance(graph, node))
    return false;
  const Tensor *scale = constant_of(graph, node.input(1)),
               *bias = constant_of(graph, node.input(2));
  if (scale == nullptr || bias == nullptr || scale->dtype() != DType::Float32 ||
      bias->dtype() != DType::Float32)
    return false;
  const Tensor gain = *scale, offset = *bias;
  const Shape shape = shape_of(graph, node.inputs[0]);
  const std::int64_t channels = shape[1], groups = node.op == "GroupNormalization"
                                                       ? node.attributes.get_int("num_groups", 1)
                                                       : channels;
  const std::int64_t length = element_count(shape) / (shape[0] * groups);
  ValueId v =
      insert_reshape(graph, node.name + "_rows", node.inputs[0], {shape[0], groups, length});
  Attributes attributes;
  attributes.set("axis", std::int64_t{-1});
  attributes.set("epsilon", node.attributes.get_float("epsilon", 1e-5F));
  const ValueId one = add_constant(graph, node.name + "_one", filled(length, 1)),
                zero = add_constant(graph, node.name + "_zero", filled(length, 0));
  v = insert_node(graph, "LayerNormalization", node.name + "_normalized", {v, one, zero},
                  DType::Float32, {shape[0], groups, length}, std::move(attributes));
  v = insert_reshape(graph, node.name + "_planes", v, shape);
  if (!all_are(gain, 1))
    v = insert_node(graph, "Mul", node.name + "_scaled",
                    {v, add_constant(graph, node.name + "_gain",
                                     per_channel(gain, channels, shape.size() - 2))},
                    DType::Float32, shape);
  if (!all_are(offset, 0))
    v = insert_node(graph, "Add", node.name + "_shifted",
                    {v, add_constant(graph, node.name + "_bias",
                                     per_channel(offset, channels, shape.size() - 2))},
                    DType::Float32, shape);
  take_over(graph, id, v);
  return true;
}

}  // namespace

std::int64_t decompose_group_normalization(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return decompose_groups(graph, id); });
}

}  // namespace espquant::passes
