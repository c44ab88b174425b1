#include "passes/passes.h"
#include "passes/rewrite.h"

/// Comparisons whose results the network reads, which nothing on the chip does: a choice between
/// the compared is Max or Min; any other is a product with 1 or 0, the Relu of the sign of a
/// difference.
namespace espquant::passes {
namespace {

/// Whether one number is larger than another.
struct Larger {
  ValueId large, small;
  /// The comparison is false where that is true.
  bool negated = false;
};

std::optional<Larger> read_comparison(const Graph& graph, ValueId v) {
  bool negated = false;
  for (NodeId id = graph.value(v).producer; id != kNone;) {
    const Node& node = graph.node(id);
    if (node.op == "Not") {
      negated = !negated;
      id = graph.value(node.inputs[0]).producer;
      continue;
    }
    const bool greater = node.op == "Greater" || node.op == "LessOrEqual";
    if (!greater && node.op != "Less" && node.op != "GreaterOrEqual") return std::nullopt;
    const ValueId a = node.inputs[0], b = node.inputs[1];
    if (graph.value(a).dtype != DType::Float32 ||
        (graph.value(a).is_constant() && graph.value(b).is_constant()))
      return std::nullopt;
    const bool or_equal = node.op == "LessOrEqual" || node.op == "GreaterOrEqual";
    return Larger{greater ? a : b, greater ? b : a, negated != or_equal};
  }
  return std::nullopt;
}

/// 1 where `large` is larger than `small`, else 0.
ValueId insert_number(Graph& graph, const std::string& name, const Larger& larger) {
  const Shape shape = broadcast(shape_of(graph, larger.large), shape_of(graph, larger.small));
  const ValueId difference = insert_node(graph, "Sub", name + "_difference",
                                         {larger.large, larger.small}, DType::Float32, shape);
  const ValueId sign =
      insert_node(graph, "Sign", name + "_sign", {difference}, DType::Float32, shape);
  return insert_node(graph, "Relu", name + "_larger", {sign}, DType::Float32, shape);
}

ValueId insert_rest(Graph& graph, const std::string& name, ValueId number) {
  const ValueId one = add_constant(graph, name + "_one", Tensor::scalar(1.0F));
  return insert_node(graph, "Sub", name + "_rest", {one, number}, DType::Float32,
                     shape_of(graph, number));
}

bool is_zero(const Graph& graph, ValueId v) { return scalar_of(graph, v) == 0.0F; }

ValueId insert_product(Graph& graph, const std::string& name, ValueId number, ValueId v) {
  return insert_node(graph, "Mul", name, {number, v}, DType::Float32,
                     broadcast(shape_of(graph, number), shape_of(graph, v)));
}

bool rewrite_choice(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto larger = read_comparison(graph, node.inputs.at(0));
  if (!larger || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  const ValueId chosen = node.inputs[larger->negated ? 2 : 1],
                other = node.inputs[larger->negated ? 1 : 2];
  const bool bound = scalar_of(graph, chosen) || scalar_of(graph, other);
  if (!bound && chosen == larger->large && other == larger->small) {
    become(graph, id, "Max", {chosen, other});
  } else if (!bound && chosen == larger->small && other == larger->large) {
    become(graph, id, "Min", {chosen, other});
  } else {
    const ValueId number = insert_number(graph, node.name, *larger);
    const bool only_other = is_zero(graph, chosen), only_chosen = is_zero(graph, other);
    if (only_other) {
      become(graph, id, "Mul", {insert_rest(graph, node.name, number), other});
    } else if (only_chosen) {
      become(graph, id, "Mul", {number, chosen});
    } else {
      const ValueId first = insert_product(graph, node.name + "_chosen", number, chosen);
      const ValueId second =
          insert_product(graph, node.name + "_other", insert_rest(graph, node.name, number), other);
      become(graph, id, "Add", {first, second});
    }
  }
  return true;
}

bool rewrite_number(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const ValueId output = node.outputs.at(0);
  if (graph.value(output).dtype != DType::Float32) return false;
  // What the network puts out the chip puts out as bools.
  if (graph.is_output(output) && graph.value(output).consumers.empty()) return false;
  const auto larger = read_comparison(graph, node.inputs.at(0));
  if (!larger) return false;
  const ValueId number = insert_number(graph, node.name, *larger);
  if (larger->negated)
    become(graph, id, "Sub",
           {add_constant(graph, node.name + "_one", Tensor::scalar(1.0F)), number});
  else
    become(graph, id, "Identity", {number});
  return true;
}

/// Not of a comparison that the network puts out is the opposite comparison.
bool rewrite_negation(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const NodeId compared = graph.value(node.inputs.at(0)).producer;
  if (!graph.is_output(node.outputs[0]) || compared == kNone) return false;
  const Node comparison = graph.node(compared);
  for (const auto& [op, opposite] : {std::pair{"Greater", "LessOrEqual"},
                                     {"LessOrEqual", "Greater"},
                                     {"Less", "GreaterOrEqual"},
                                     {"GreaterOrEqual", "Less"}})
    if (comparison.op == op) {
      become(graph, id, opposite, comparison.inputs);
      return true;
    }
  return false;
}

bool rewrite_comparison(Graph& graph, NodeId id) {
  const std::string& op = graph.node(id).op;
  if (op == "Where") return rewrite_choice(graph, id);
  if (op == "Cast") return rewrite_number(graph, id);
  return op == "Not" && rewrite_negation(graph, id);
}

}  // namespace

std::int64_t where_by_comparison(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_comparison(graph, id); });
}

}  // namespace espquant::passes
