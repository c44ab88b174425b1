#include <cmath>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x, where v = x^3 as a Pow or as two Muls; kNone else.
ValueId cube_root(const Graph& graph, ValueId v) {
  if (const NodeId pow = producer(graph, v, "Pow"); pow != kNone)
    return is_scalar_near(graph, graph.node(pow).input(1), 3) ? graph.node(pow).inputs[0] : kNone;
  const NodeId mul = producer(graph, v, "Mul");
  if (mul == kNone) return kNone;
  for (ValueId square : graph.node(mul).inputs) {
    const NodeId inner = producer(graph, square, "Mul");
    const ValueId x = other_input(graph.node(mul), square);
    if (inner != kNone && x != kNone && graph.node(inner).inputs == std::vector<ValueId>{x, x})
      return x;
  }
  return kNone;
}

/// The two operands of a node of that op that produces `v`; both kNone when another does.
std::pair<ValueId, ValueId> operands_of(const Graph& graph, ValueId v, std::string_view op) {
  const NodeId id = producer(graph, v, op);
  if (id == kNone || graph.node(id).inputs.size() != 2) return {kNone, kNone};
  return {graph.node(id).inputs[0], graph.node(id).inputs[1]};
}

/// x, where v = sqrt(2 / pi) * (x + 0.044715 x^3); kNone else.
ValueId tanh_argument(const Graph& graph, ValueId v) {
  const ValueId sum = unscaled(graph, v, std::sqrt(2 / M_PI));
  const auto [a, b] = operands_of(graph, sum, "Add");
  if (a == kNone) return kNone;
  for (const auto& [x, cubic] : {std::pair{a, b}, std::pair{b, a}})
    if (cube_root(graph, unscaled(graph, cubic, 0.044715)) == x) return x;
  return kNone;
}

struct Bell {
  ValueId x = kNone;
  bool tanh = false;
};

/// v = 1 + erf(x / sqrt 2), or 1 + tanh(...) in its approximation.
Bell bell_of(const Graph& graph, ValueId v) {
  const NodeId add = producer(graph, v, "Add");
  const auto operands = add == kNone ? std::nullopt : split_constant(graph, graph.node(add));
  if (!operands || !is_scalar_near(graph, operands->constant, 1)) return {};
  if (const NodeId erf = producer(graph, operands->data, "Erf"); erf != kNone)
    return {unscaled(graph, graph.node(erf).inputs[0], std::sqrt(0.5)), false};
  if (const NodeId tanh = producer(graph, operands->data, "Tanh"); tanh != kNone)
    return {tanh_argument(graph, graph.node(tanh).inputs[0]), true};
  return {};
}

/// x * bell / 2 in any order of its factors.
Bell gelu_of(const Graph& graph, ValueId v) {
  const auto product = [&](ValueId whole, auto&& is_rest) -> Bell {
    const auto [a, b] = operands_of(graph, whole, "Mul");
    if (a == kNone) return {};
    for (const auto& [first, second] : {std::pair{a, b}, std::pair{b, a}}) {
      const Bell bell = bell_of(graph, first);
      if (bell.x != kNone && is_rest(second, bell.x)) return bell;
    }
    return {};
  };
  // (x * bell) / 2
  if (const Bell bell =
          product(unscaled(graph, v, 0.5), [](ValueId rest, ValueId x) { return rest == x; });
      bell.x != kNone)
    return bell;
  // bell * (x / 2)
  if (const Bell bell =
          product(v, [&](ValueId rest, ValueId x) { return unscaled(graph, rest, 0.5) == x; });
      bell.x != kNone)
    return bell;
  // x * (bell / 2)
  const auto [a, b] = operands_of(graph, v, "Mul");
  for (const auto& [x, half] : {std::pair{a, b}, std::pair{b, a}}) {
    const Bell bell = bell_of(graph, unscaled(graph, half, 0.5));
    if (bell.x != kNone && bell.x == x) return bell;
  }
  return {};
}

bool fuse_one_gelu(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Mul" && node.op != "Div") return false;
  const Bell bell = gelu_of(graph, node.outputs[0]);
  if (bell.x == kNone || !is_private(graph, id, bell.x)) return false;
  Attributes attributes;
  attributes.set("approximate", std::string(bell.tanh ? "tanh" : "none"));
  become(graph, id, "Gelu", {bell.x}, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t fuse_gelu(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fuse_one_gelu(graph, id); });
}

}  // namespace espquant::passes
