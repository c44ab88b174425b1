#include <algorithm>
#include <array>
#include <numeric>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

using Permutation = std::vector<std::int64_t>;

Permutation perm_of(const Graph& graph, const Node& transpose) {
  Permutation perm = transpose.attributes.get_ints("perm");
  if (perm.empty()) {
    perm.resize(shape_of(graph, transpose.inputs[0]).size());
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  return perm;
}

Permutation inverse(const Permutation& perm) {
  Permutation result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    result[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return result;
}

/// Operators that treat every element alike, wherever it stands.
bool is_unary_elementwise(const Node& node) {
  constexpr std::array kOps = {
      "Abs",       "Cast", "Ceil",     "Celu",           "Clip",        "Cos",       "Elu",
      "Erf",       "Exp",  "Floor",    "Gelu",           "HardSigmoid", "HardSwish", "Log",
      "Neg",       "Not",  "Relu",     "Round",          "Reciprocal",  "Selu",      "Sigmoid",
      "Sign",      "Sin",  "Softplus", "Sqrt",           "Swish",       "Tan",       "Tanh",
      "LeakyRelu", "Mish", "Softsign", "ThresholdedRelu"};
  return std::find(kOps.begin(), kOps.end(), node.op) != kOps.end();
}

bool is_binary_elementwise(const Node& node) {
  constexpr std::array kOps = {"Add",  "Div",         "Equal", "Greater", "GreaterOrEqual",
                               "Less", "LessOrEqual", "Max",   "Min",     "Mod",
                               "Mul",  "PRelu",       "Pow",   "Sub"};
  return node.inputs.size() == 2 && std::find(kOps.begin(), kOps.end(), node.op) != kOps.end();
}

/// The inputs that carry data, as opposed to parameters such as Clip's bounds.
std::size_t data_inputs(const Node& node) {
  return is_unary_elementwise(node) ? 1 : node.inputs.size();
}

/// Transpose of a Transpose: the second reads the first one's input.
bool merge_pair(Graph& graph, NodeId id) {
  if (graph.node(id).op != "Transpose") return false;
  const ValueId in = graph.node(id).inputs[0];
  const NodeId before = producer(graph, in, "Transpose");
  if (before == kNone) return false;
  const Permutation first = perm_of(graph, graph.node(before)),
                    second = perm_of(graph, graph.node(id));
  Permutation both(first.size());
  for (std::size_t i = 0; i < both.size(); ++i)
    both[i] = first[static_cast<std::size_t>(second[i])];
  const ValueId source = graph.node(before).inputs[0];
  if (std::is_sorted(both.begin(), both.end()) && bypass(graph, id, source)) return true;
  graph.node(id).attributes.set("perm", both);
  graph.set_input(id, 0, source);
  return true;
}

/// True when a Transpose put behind this node would meet another one.
bool leads_to_transpose(const Graph& graph, NodeId id) {
  for (;;) {
    const NodeId next = only_reader(graph, graph.node(id).outputs.at(0));
    if (next == kNone) return false;
    const Node& node = graph.node(next);
    if (node.op == "Transpose") return true;
    const bool passes = is_unary_elementwise(node) ||
                        (is_binary_elementwise(node) && split_constant(graph, node).has_value());
    if (!passes) return false;
    id = next;
  }
}

/// The permutation that all data inputs of the node went through, in Transposes that only it reads.
struct Incoming {
  Permutation perm;
  std::size_t transposes = 0;
};

std::optional<Incoming> incoming_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  Incoming incoming;
  for (std::size_t i = 0; i < data_inputs(node); ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNone) return std::nullopt;
    if (constant_of(graph, v) != nullptr) continue;
    const NodeId transpose = producer(graph, v, "Transpose");
    if (transpose == kNone || only_reader(graph, v) != id) return std::nullopt;
    const Permutation perm = perm_of(graph, graph.node(transpose));
    if (incoming.transposes > 0 && perm != incoming.perm) return std::nullopt;
    incoming.perm = perm;
    ++incoming.transposes;
  }
  if (incoming.transposes == 0) return std::nullopt;
  return incoming;
}

/// The constant as it must stand beside data that are not yet permuted.
Tensor unpermuted(const Tensor& constant, const Permutation& perm) {
  if (constant.size() == 1) return constant;
  Shape wide = constant.shape();
  wide.insert(wide.begin(), perm.size() - wide.size(), 1);
  return constant.reshaped(wide).transposed(inverse(perm));
}

/// f(T(a), T(b), c) becomes T(f(a, b, T^-1(c))): fewer Transposes at once, or nearer to one that it
/// cancels.
bool sink(Graph& graph, NodeId id) {
  const bool concat = graph.node(id).op == "Concat";
  const bool elementwise =
      is_unary_elementwise(graph.node(id)) || is_binary_elementwise(graph.node(id));
  if ((!concat && !elementwise) || graph.node(id).outputs.size() != 1) return false;
  const auto incoming = incoming_of(graph, id);
  if (!incoming || (incoming->transposes < 2 && !leads_to_transpose(graph, id))) return false;
  const Permutation& perm = incoming->perm;
  const ValueId out = graph.node(id).outputs[0];
  const Shape out_shape = shape_of(graph, out);
  if (out_shape.size() != perm.size()) return false;

  for (std::size_t i = 0; i < data_inputs(graph.node(id)); ++i) {
    const ValueId v = graph.node(id).inputs[i];
    const Tensor* constant = constant_of(graph, v);
    if (constant == nullptr) {
      graph.set_input(id, i, graph.node(graph.value(v).producer).inputs[0]);
    } else {
      const std::string name = graph.value(v).name;
      graph.set_input(id, i, add_constant(graph, name, unpermuted(*constant, perm)));
    }
  }
  if (concat) {
    const auto rank = static_cast<std::int64_t>(perm.size());
    const std::int64_t axis = normalize_axis(graph.node(id).attributes.get_int("axis", 0), rank);
    graph.node(id).attributes.set("axis", perm[static_cast<std::size_t>(axis)]);
  }
  const std::string name = graph.node(id).name;
  const ValueId inner = graph.add_value(graph.unique_value_name(name + "_untransposed"),
                                        graph.value(out).dtype, permuted(out_shape, inverse(perm)));
  graph.take_output(id, 0, inner);
  Attributes attributes;
  attributes.set("perm", perm);
  graph.add_node("Transpose", graph.unique_node_name(name + "_transpose"), {inner}, {out},
                 std::move(attributes));
  return true;
}

}  // namespace

std::int64_t merge_transposes(Graph& graph) {
  std::int64_t changes = 0;
  // Each round moves Transposes towards the outputs or removes them, so the rounds end.
  for (;;) {
    const std::int64_t round =
        for_each_node(graph, [&](NodeId id) { return merge_pair(graph, id) || sink(graph, id); });
    if (round == 0) return changes;
    changes += round;
    graph.remove_dead();
  }
}

}  // namespace espquant::passes
