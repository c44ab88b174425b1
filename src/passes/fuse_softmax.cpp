#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// x, where v = x - max(x) over those axes; v itself where nothing is taken off.
ValueId before_shift(const Graph& graph, ValueId v, const std::vector<std::int64_t>& axes) {
  const NodeId sub = producer(graph, v, "Sub");
  if (sub == kNone) return v;
  const Node& node = graph.node(sub);
  const Reduction largest = reduced_by(graph, node.inputs[1], "ReduceMax");
  return largest.x == node.inputs[0] && largest.axes == axes ? node.inputs[0] : v;
}

struct Softmax {
  ValueId x = kNone;
  std::int64_t axis = 0;
};

/// exp(x) over its sum: v is the exponential, `sum` the sum or its logarithm's argument.
std::optional<Softmax> softmax_of(const Graph& graph, ValueId exponential, ValueId sum) {
  const Reduction total = reduced_by(graph, sum, "ReduceSum");
  if (!total.found() || total.x != exponential || total.axes.size() != 1) return std::nullopt;
  const NodeId exp = producer(graph, exponential, "Exp");
  if (exp == kNone) return std::nullopt;
  return Softmax{before_shift(graph, graph.node(exp).inputs[0], total.axes), total.axes[0]};
}

bool write_softmax(Graph& graph, NodeId id, const char* op, const Softmax& softmax) {
  if (!is_private(graph, id, softmax.x)) return false;
  Attributes attributes;
  attributes.set("axis", softmax.axis);
  become(graph, id, op, {softmax.x}, std::move(attributes));
  return true;
}

/// exp(x) / sum(exp(x)), or times the inverse of the sum.
bool fuse_quotient(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op == "Div")
    if (const auto found = softmax_of(graph, node.inputs[0], node.inputs[1]))
      return write_softmax(graph, id, "Softmax", *found);
  if (node.op != "Mul") return false;
  for (ValueId factor : node.inputs) {
    const NodeId inverse = producer(graph, factor, "Reciprocal");
    const ValueId exponential = other_input(node, factor);
    if (inverse == kNone || exponential == kNone) continue;
    if (const auto found = softmax_of(graph, exponential, graph.node(inverse).inputs[0]))
      return write_softmax(graph, id, "Softmax", *found);
  }
  return false;
}

/// x - log(sum(exp(x))).
bool fuse_logarithm(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Sub") return false;
  const ValueId x = node.inputs[0];
  std::optional<Softmax> found;
  if (const Reduction sum = reduced_by(graph, node.inputs[1], "ReduceLogSumExp");
      sum.x == x && sum.axes.size() == 1) {
    found = Softmax{before_shift(graph, x, sum.axes), sum.axes[0]};
  } else if (const NodeId log = producer(graph, node.inputs[1], "Log"); log != kNone) {
    const Reduction total = reduced_by(graph, graph.node(log).inputs[0], "ReduceSum");
    const NodeId exp = total.found() ? producer(graph, total.x, "Exp") : kNone;
    if (exp != kNone && graph.node(exp).inputs[0] == x && total.axes.size() == 1)
      found = Softmax{before_shift(graph, x, total.axes), total.axes[0]};
  }
  return found && write_softmax(graph, id, "LogSoftmax", *found);
}

}  // namespace

std::int64_t fuse_softmax(Graph& graph) {
  return for_each_node(
      graph, [&](NodeId id) { return fuse_quotient(graph, id) || fuse_logarithm(graph, id); });
}

}  // namespace espquant::passes
