#include "passes/normalization_pattern.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// v = x / sqrt(mean square of x).
std::optional<Quotient> normalized_by_rms(const Graph& graph, ValueId v) {
  for (const Quotient& q : quotients_of(graph, v))
    if (q.by.floor <= 0 && q.by.of.x == q.x) return q;
  return std::nullopt;
}

/// normalized(x) * scale, or the normalization alone where no constant scale follows.
bool fuse_one_rms_normalization(Graph& graph, NodeId id) {
  auto core = normalized_by_rms(graph, graph.node(id).outputs.at(0));
  ValueId outer = kNone;
  if (!core && graph.node(id).op == "Mul") {
    const auto operands = split_constant(graph, graph.node(id));
    if (!operands) return false;
    core = normalized_by_rms(graph, operands->data);
    outer = operands->constant;
  }
  if (!core) return false;
  const Reduction& over = core->by.of;
  const NormalizedPlace place = normalized_place(graph, over);
  if (!place.found() || !is_private(graph, id, over.x)) return false;
  if (outer != kNone && core->scale != kNone) return false;
  const ValueId factor = outer != kNone ? outer : core->scale;
  std::optional<Tensor> scale;
  if (factor != kNone) {
    scale = normalization_parameter(graph, factor, over, place);
    if (!scale) return false;
  }
  become_normalization(graph, id, "RMSNormalization", kEspdlDomain, core->by, place,
                       std::move(scale), std::nullopt);
  return true;
}

}  // namespace

std::int64_t fuse_rms_normalization(Graph& graph) {
  // Outermost first: the scale belongs to the pattern.
  return for_each_node_backwards(
      graph, [&](NodeId id) { return fuse_one_rms_normalization(graph, id); });
}

}  // namespace espquant::passes
