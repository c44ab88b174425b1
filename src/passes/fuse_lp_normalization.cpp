#include <algorithm>
#include <cmath>

#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// A floor under the norm that only keeps zero vectors from dividing by zero: ESP-DL gives zero for
/// them.
constexpr float kLargestFloor = 1e-5F;

struct Norm {
  ValueId x = kNone;
  std::int64_t axis = 0, p = 2;
};

bool is_a_norm(const Graph& graph, const MeanSquare& square) {
  if (!square.found() || square.of.axes.size() != 1) return false;
  const auto count = static_cast<double>(reduced_count(graph, square.of));
  const float floor = std::max(square.floor, square.epsilon);
  return std::abs(square.gain / count - 1) < 1e-4 && floor <= kLargestFloor * kLargestFloor;
}

/// v as the norm of x, beneath a bound from below or a small term, and an Expand to x's shape.
std::optional<Norm> norm_of(const Graph& graph, ValueId v) {
  if (const NodeId expand = producer(graph, v, "Expand"); expand != kNone)
    v = graph.node(expand).inputs[0];
  const auto is_small = [&](ValueId bound) {
    const auto floor = scalar_of(graph, bound);
    return floor && *floor >= 0 && *floor <= kLargestFloor;
  };
  if (const NodeId clip = producer(graph, v, "Clip"); clip != kNone) {
    const Node& node = graph.node(clip);
    if (!is_small(node.input(1)) || node.input(2) != kNone) return std::nullopt;
    v = node.inputs[0];
  } else {
    for (std::string_view op : {"Max", "Add"}) {
      const NodeId id = producer(graph, v, op);
      if (id == kNone) continue;
      const auto operands = split_constant(graph, graph.node(id));
      if (!operands || !is_small(operands->constant)) return std::nullopt;
      v = operands->data;
      break;
    }
  }
  if (const Reduction sum = reduced_by(graph, v, "ReduceL1"); sum.found())
    return sum.axes.size() == 1 ? std::optional(Norm{sum.x, sum.axes[0], 1}) : std::nullopt;
  const MeanSquare square = root_mean_square_of(graph, v);
  return is_a_norm(graph, square) ? std::optional(Norm{square.of.x, square.of.axes[0], 2})
                                  : std::nullopt;
}

/// The same of 1 / norm.
std::optional<Norm> inverse_norm_of(const Graph& graph, ValueId v) {
  if (v == kNone) return std::nullopt;
  if (const MeanSquare square = inverse_root_mean_square_of(graph, v); is_a_norm(graph, square))
    return Norm{square.of.x, square.of.axes[0], 2};
  if (const NodeId id = producer(graph, v, "Reciprocal"); id != kNone)
    return norm_of(graph, graph.node(id).inputs[0]);
  const NodeId div = producer(graph, v, "Div");
  return div != kNone && is_scalar_near(graph, graph.node(div).input(0), 1)
             ? norm_of(graph, graph.node(div).inputs[1])
             : std::nullopt;
}

bool fuse_one_lp_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if ((node.op != "Div" && node.op != "Mul") || node.inputs.size() != 2) return false;
  std::optional<Norm> norm;
  ValueId x = kNone;
  if (node.op == "Div") {
    x = node.inputs[0];
    norm = norm_of(graph, node.inputs[1]);
  } else {
    for (ValueId factor : node.inputs) {
      const ValueId other = other_input(node, factor);
      if (other == kNone) continue;
      const auto found = inverse_norm_of(graph, factor);
      if (!found || found->x != other) continue;
      norm = found;
      x = other;
    }
  }
  if (!norm || norm->x != x || !is_private(graph, id, x)) return false;
  Attributes attributes;
  attributes.set("axis", norm->axis);
  attributes.set("p", norm->p);
  become(graph, id, "LpNormalization", {x}, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t fuse_lp_normalization(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return fuse_one_lp_normalization(graph, id); });
}

}  // namespace espquant::passes
