#include "ops/shown.h"

#include <set>
#include <vector>

#include "ops/op.h"

namespace espquant::ops {

bool is_only_shown(const Graph& graph, ValueId v) {
  std::set<ValueId> seen{v};
  std::vector<ValueId> open{v};
  while (!open.empty()) {
    const ValueId next = open.back();
    open.pop_back();
    for (const NodeId id : graph.value(next).consumers) {
      const Node& n = graph.node(id);
      if (n.op != "Concat" && n.op != "Relu" && !follows(n, QuantRule::PassThrough)) return false;
      for (const ValueId out : n.outputs)
        if (out != kNone && seen.insert(out).second) open.push_back(out);
    }
  }
  return true;
}

}  // namespace espquant::ops
