#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// The shape of a two-input node in the middle of a chain.
Shape joined_shape(const Graph& graph, ValueId a, ValueId b) {
  return broadcast(shape_of(graph, a), shape_of(graph, b));
}

bool split(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool mean = node.op == "Mean", sum = node.op == "Sum" || mean;
  if (!sum && node.op != "Max" && node.op != "Min") return false;
  const std::vector<ValueId> inputs = node.inputs;
  if (inputs.size() < 2 || (inputs.size() == 2 && !sum)) return false;
  const std::string op = sum ? "Add" : node.op, name = node.name;
  const DType dtype = graph.value(inputs[0]).dtype;
  if (mean && dtype != DType::Float32) return false;
  const std::size_t chained = mean ? inputs.size() : inputs.size() - 1;
  ValueId so_far = inputs[0];
  for (std::size_t i = 1; i < chained; ++i)
    so_far = insert_node(graph, op, name + "_part", {so_far, inputs[i]}, dtype,
                         joined_shape(graph, so_far, inputs[i]));
  if (mean) {
    const ValueId factor = add_constant(graph, name + "_factor",
                                        Tensor::scalar(1.F / static_cast<float>(inputs.size())));
    become(graph, id, "Mul", {so_far, factor});
  } else {
    become(graph, id, op, {so_far, inputs.back()});
  }
  return true;
}

}  // namespace

std::int64_t split_variadic(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return split(graph, id); });
}

}  // namespace espquant::passes
