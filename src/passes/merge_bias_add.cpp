#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/weighted.h"

namespace espquant::passes {
namespace {

/// What an Add, Sub, Mul or Div by a constant per channel does to `data`.
struct Step {
  ValueId data;
  Affine affine;
  bool scales;
};

std::optional<Step> step_of(const Graph& graph, const Node& node) {
  const bool known = node.op == "Add" || node.op == "Sub" || node.op == "Mul" || node.op == "Div";
  if (!known) return std::nullopt;
  const auto operands = split_constant(graph, node);
  if (!operands) return std::nullopt;
  const bool constant_first = node.inputs[0] == operands->constant;
  if (constant_first && node.op == "Div") return std::nullopt;
  const Shape& shape = shape_of(graph, node.outputs[0]);
  if (shape.size() < 2 || shape_of(graph, operands->data) != shape) return std::nullopt;
  const auto constant = per_channel_constant(graph, operands->constant, shape, 1);
  if (!constant) return std::nullopt;

  const std::vector<double> c(constant->begin(), constant->end());
  const std::size_t channels = c.size();
  Step step{
      operands->data, {std::vector<double>(channels, 1), std::vector<double>(channels, 0)}, false};
  if (node.op == "Add") {
    step.affine.shift = c;
  } else if (node.op == "Mul") {
    step.affine.scale = c;
    step.scales = true;
  } else if (node.op == "Div") {
    if (std::find(c.begin(), c.end(), 0) != c.end()) return std::nullopt;
    std::transform(c.begin(), c.end(), step.affine.scale.begin(), [](double v) { return 1 / v; });
    step.scales = true;
  } else if (constant_first) {
    std::fill(step.affine.scale.begin(), step.affine.scale.end(), -1);
    step.affine.shift = c;
    step.scales = true;
  } else {
    std::transform(c.begin(), c.end(), step.affine.shift.begin(), [](double v) { return -v; });
  }
  return step;
}

bool merge_bias(Graph& graph, NodeId id) {
  const auto step = step_of(graph, graph.node(id));
  if (!step || only_reader(graph, step->data) != id) return false;
  const NodeId before = graph.value(step->data).producer;
  if (before == kNone) return false;
  if (step->scales ? !can_scale_outputs(graph, before) : !can_shift_outputs(graph, before))
    return false;
  if (step->scales)
    scale_outputs(graph, before, step->affine);
  else
    shift_outputs(graph, before, step->affine.shift);
  return bypass(graph, id, step->data);
}

}  // namespace

std::int64_t merge_bias_add(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_bias(graph, id); });
}

}  // namespace espquant::passes
