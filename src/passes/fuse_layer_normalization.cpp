#include <algorithm>

#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// Over which v = x - mean(x).
Reduction centred(const Graph& graph, ValueId v) {
  const NodeId sub = v == kNone ? kNone : producer(graph, v, "Sub");
  if (sub == kNone || graph.node(sub).inputs.size() != 2) return {};
  const Node& node = graph.node(sub);
  Reduction mean = mean_of(graph, node.inputs[1]);
  return mean.found() && mean.x == node.inputs[0] ? mean : Reduction{};
}

/// (x - mean) / sqrt(variance + epsilon), times a constant where the root was multiplied first.
struct Standardized {
  MeanSquare square;
  ValueId scale = kNone;

  bool found() const { return square.found(); }
};

/// The square of a deviation as that of x: its mean square is the variance.
Standardized standardized_by(const Graph& graph, const Reduction& above, const MeanSquare& by,
                             ValueId scale) {
  if (!above.found() || by.floor > 0 || centred(graph, by.of.x) != above ||
      by.of.axes != above.axes)
    return {};
  Standardized result{by, scale};
  result.square.of = above;
  return result;
}

Standardized standardized(const Graph& graph, ValueId v) {
  for (const Quotient& q : quotients_of(graph, v))
    if (Standardized s = standardized_by(graph, centred(graph, q.x), q.by, q.scale); s.found())
      return s;
  return {};
}

struct Normalization {
  Standardized core;
  ValueId scale = kNone, bias = kNone;
};

/// x * inverse [+ bias] - mean * inverse, as Keras writes its batch and layer normalizations.
Normalization folded_normalization_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if ((node.op != "Add" && node.op != "Sub") || node.inputs.size() != 2) return {};
  const auto try_parts = [&](ValueId product, ValueId shift, ValueId bias) -> Normalization {
    const NodeId of_mean = producer(graph, shift, "Mul");
    if (of_mean == kNone) return {};
    for (const Quotient& q : quotients_of(graph, product)) {
      const ValueId inverse = other_input(graph.node(graph.value(product).producer), q.x);
      const Reduction mean = mean_of(graph, other_input(graph.node(of_mean), inverse));
      if (!mean.found() || mean.x != q.x) continue;
      if (Standardized s = standardized_by(graph, mean, q.by, q.scale); s.found())
        return {s, kNone, bias};
    }
    return {};
  };
  if (node.op == "Sub") return try_parts(node.inputs[0], node.inputs[1], kNone);
  for (ValueId product : node.inputs) {
    const ValueId other = other_input(node, product);
    const NodeId sub = other == kNone ? kNone : producer(graph, other, "Sub");
    if (sub == kNone || constant_of(graph, graph.node(sub).inputs[0]) == nullptr) continue;
    Normalization found = try_parts(product, graph.node(sub).inputs[1], graph.node(sub).inputs[0]);
    if (found.core.found()) return found;
  }
  return {};
}

/// standardized(x) [* scale] [+ bias], from the outermost node inwards.
Normalization normalization_of(const Graph& graph, NodeId id) {
  if (Normalization folded = folded_normalization_of(graph, id); folded.core.found()) return folded;
  Normalization result;
  ValueId v = graph.node(id).outputs.at(0);
  if (const NodeId add = producer(graph, v, "Add"); add != kNone) {
    const auto operands = split_constant(graph, graph.node(add));
    if (!operands) return {};
    result.bias = operands->constant;
    v = operands->data;
  }
  result.core = standardized(graph, v);
  if (result.core.found()) return result;
  if (const NodeId mul = producer(graph, v, "Mul"); mul != kNone) {
    const auto operands = split_constant(graph, graph.node(mul));
    if (!operands) return {};
    result.scale = operands->constant;
    v = operands->data;
  }
  result.core = standardized(graph, v);
  return result;
}

bool fuse_one_layer_normalization(Graph& graph, NodeId id) {
  const Normalization found = normalization_of(graph, id);
  const Reduction& over = found.core.square.of;
  const NormalizedPlace place = normalized_place(graph, over);
  if (!place.found() || !is_private(graph, id, over.x)) return false;
  std::optional<Tensor> scale, bias;
  for (ValueId v : {found.scale, found.core.scale}) {
    if (v == kNone) continue;
    const auto factor = normalization_parameter(graph, v, over, place);
    if (!factor) return false;
    if (!scale) {
      scale = factor;
      continue;
    }
    const auto more = factor->data<float>();
    auto values = scale->mutable_data<float>();
    std::transform(values.begin(), values.end(), more.begin(), values.begin(), std::multiplies{});
  }
  if (found.bias != kNone) {
    bias = normalization_parameter(graph, found.bias, over, place);
    if (!bias) return false;
  }
  become_normalization(graph, id, "LayerNormalization", {}, found.core.square, place,
                       std::move(scale), std::move(bias));
  return true;
}

}  // namespace

std::int64_t fuse_layer_normalization(Graph& graph) {
  // Outermost first: the scale and bias belong to the pattern.
  return for_each_node_backwards(
      graph, [&](NodeId id) { return fuse_one_layer_normalization(graph, id); });
}

}  // namespace espquant::passes
