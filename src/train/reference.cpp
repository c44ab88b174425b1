#include "train/reference.h"

#include <algorithm>

#include "base/dtype.h"
#include "ops/op.h"

namespace espquant::train {
namespace {

template <typename T>
void add_elements(const Tensor& from, Tensor& to) {
  const auto values = from.data<T>();
  auto sums = to.mutable_data<T>();
  for (std::size_t i = 0; i < values.size(); ++i) sums[i] += values[i];
}

void add_to(Tensor& sum, const Tensor& more) {
  if (!more.defined()) return;
  if (!sum.defined())
    sum = more;
  else if (more.dtype() == DType::Float64)
    add_elements<double>(more, sum);
  else
    add_elements<float>(more, sum);
}

}  // namespace

ReferenceGradients differentiate(
    const Graph& graph, std::span<const Tensor> inputs,
    const std::function<std::vector<Tensor>(std::span<const Tensor> outputs)>& seeds,
    std::span<const ValueId> wanted) {
  std::vector<Tensor> values(graph.value_count()), gradients(graph.value_count());
  std::vector<bool> needed(graph.value_count(), false);
  const auto at = [](ValueId v) { return static_cast<std::size_t>(v); };
  for (std::size_t v = 0; v < values.size(); ++v)
    values[v] = graph.value(static_cast<ValueId>(v)).constant;
  for (std::size_t i = 0; i < inputs.size(); ++i) values[at(graph.inputs()[i])] = inputs[i];
  for (ValueId v : wanted) needed[at(v)] = true;

  const std::vector<NodeId> order = graph.topological_order();
  const auto pointers = [&](const Node& node) {
    std::vector<const Tensor*> result;
    for (ValueId v : node.inputs) result.push_back(v == kNone ? nullptr : &values[at(v)]);
    return result;
  };
  for (NodeId n : order) {
    const Node& node = graph.node(n);
    std::vector<Tensor> made = ops::run_node(graph, node, pointers(node));
    const bool leads_on = std::any_of(node.inputs.begin(), node.inputs.end(),
                                      [&](ValueId v) { return v != kNone && needed[at(v)]; });
    for (std::size_t o = 0; o < made.size(); ++o) {
      if (node.outputs[o] == kNone) continue;
      values[at(node.outputs[o])] = std::move(made[o]);
      if (leads_on) needed[at(node.outputs[o])] = true;
    }
  }

  ReferenceGradients result;
  for (ValueId v : graph.outputs()) result.outputs.push_back(values[at(v)]);
  const std::vector<Tensor> begin = seeds(result.outputs);
  for (std::size_t o = 0; o < begin.size(); ++o)
    add_to(gradients[at(graph.outputs()[o])], begin[o]);
  for (auto n = order.rbegin(); n != order.rend(); ++n) {
    const Node& node = graph.node(*n);
    std::vector<bool> asked;
    for (ValueId v : node.inputs)
      asked.push_back(v != kNone && needed[at(v)] && is_float(values[at(v)].dtype()));
    if (std::find(asked.begin(), asked.end(), true) == asked.end()) continue;
    std::vector<Tensor> outputs, back;
    for (ValueId v : node.outputs) {
      outputs.push_back(v == kNone ? Tensor() : values[at(v)]);
      back.push_back(v == kNone ? Tensor() : gradients[at(v)]);
    }
    const std::vector<Tensor> found =
        ops::run_gradient(graph, node, pointers(node), outputs, back, asked);
    for (std::size_t i = 0; i < found.size(); ++i)
      if (node.inputs[i] != kNone) add_to(gradients[at(node.inputs[i])], found[i]);
  }
  for (ValueId v : wanted)
    if (gradients[at(v)].defined()) result.gradients.emplace(v, gradients[at(v)]);
  return result;
}

}  // namespace espquant::train
