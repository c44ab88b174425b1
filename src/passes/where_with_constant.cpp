#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Where with a constant condition as a product with a mask; And, Or, Xor and Not with operands
/// that decide or do nothing.
namespace espquant::passes {
namespace {

bool all_masked(const Tensor& mask, bool expected) {
  const auto data = mask.data<bool>();
  return std::all_of(data.begin(), data.end(), [&](bool b) { return b == expected; });
}

const Tensor* bool_constant(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  return t != nullptr && t->dtype() == DType::Bool && t->size() > 0 ? t : nullptr;
}

/// 1 where the mask is `chosen`, else 0.
ValueId add_mask(Graph& graph, const std::string& name, const Tensor& mask, bool chosen) {
  Tensor factors(DType::Float32, mask.shape());
  auto to = factors.mutable_data<float>();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = mask.data<bool>()[i] == chosen ? 1.F : 0.F;
  return add_constant(graph, name, std::move(factors));
}

/// `v` where the mask is `chosen`, else 0; kNone when that is 0 everywhere.
ValueId masked(Graph& graph, const std::string& name, ValueId v, const Tensor& mask, bool chosen) {
  if (const Tensor* t = constant_of(graph, v)) {
    const auto data = t->data<float>();
    if (std::all_of(data.begin(), data.end(), [](float x) { return x == 0; })) return kNone;
  }
  const Shape shape = broadcast(shape_of(graph, v), mask.shape());
  return insert_node(graph, "Mul", name, {v, add_mask(graph, name + "_mask", mask, chosen)},
                     DType::Float32, shape);
}

/// Whole elements of a shape, in place of what broadcasts to it.
void become_expanded(Graph& graph, NodeId id, ValueId v) {
  const Shape shape = shape_of(graph, graph.node(id).outputs[0]);
  const ValueId target = add_ints(graph, graph.node(id).name + "_shape", shape);
  become(graph, id, "Expand", {v, target});
}

bool rewrite_where(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (const NodeId negation = producer(graph, node.inputs.at(0), "Not"); negation != kNone) {
    become(graph, id, "Where", {graph.node(negation).inputs[0], node.inputs[2], node.inputs[1]});
    return true;
  }
  const Tensor* condition = bool_constant(graph, node.inputs[0]);
  if (condition == nullptr || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  const Tensor mask = *condition;
  for (const bool side : {true, false})
    if (all_masked(mask, side)) {
      become_expanded(graph, id, node.inputs[side ? 1 : 2]);
      return true;
    }
  for (const ValueId v : {node.inputs[1], node.inputs[2]})
    if (const Tensor* t = constant_of(graph, v); t != nullptr && !is_finite(*t)) return false;
  const ValueId chosen = masked(graph, node.name + "_chosen", node.inputs[1], mask, true),
                other = masked(graph, node.name + "_other", node.inputs[2], mask, false);
  if (chosen != kNone && other != kNone)
    become(graph, id, "Add", {chosen, other});
  else
    become_expanded(graph, id, chosen != kNone ? chosen : other);
  return true;
}

bool rewrite_logic(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op == "Not") {
    const NodeId inner = producer(graph, node.inputs.at(0), "Not");
    return inner != kNone && bypass(graph, id, graph.node(inner).inputs[0]);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const Tensor* known = bool_constant(graph, node.inputs.at(i));
    if (known == nullptr || (!all_masked(*known, true) && !all_masked(*known, false))) continue;
    const bool value = all_masked(*known, true);
    const ValueId rest = node.inputs[1 - i];
    const bool decides = node.op == "And" ? !value : node.op == "Or" && value;
    if (node.op == "Xor" && value) {
      if (shape_of(graph, rest) != shape_of(graph, node.outputs[0])) return false;
      become(graph, id, "Not", {rest});
    } else {
      become_expanded(graph, id, decides ? node.inputs[i] : rest);
    }
    return true;
  }
  return false;
}

}  // namespace

std::int64_t where_with_constant(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const std::string& op = graph.node(id).op;
    if (op == "Where") return rewrite_where(graph, id);
    const bool logic = op == "And" || op == "Or" || op == "Xor" || op == "Not";
    return logic && rewrite_logic(graph, id);
  });
}

}  // namespace espquant::passes
