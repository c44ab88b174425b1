#include "survey/cut.h"

#include <algorithm>

#include "ops/op.h"

namespace espquant::survey {
namespace {

/// Layers that were trained: what a network is about.
bool has_weights(const Graph& graph, NodeId id) {
  const Node& n = graph.node(id);
  const ops::OpDef* op = ops::find_op(n.op);
  return op != nullptr && op->macs != nullptr &&
         std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) {
           return v != kNone && graph.value(v).is_constant() && is_float(graph.value(v).dtype);
         });
}

/// `from`, and what depends on it; with `upstream` what it depends on.
std::set<NodeId> reach_of(const Graph& graph, const std::set<NodeId>& from, bool upstream) {
  std::set<NodeId> found;
  std::vector<NodeId> open(from.begin(), from.end());
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    if (!found.insert(id).second) continue;
    const Node& n = graph.node(id);
    for (const ValueId v : upstream ? n.inputs : n.outputs) {
      if (v == kNone) continue;
      const Value& value = graph.value(v);
      if (!upstream) open.insert(open.end(), value.consumers.begin(), value.consumers.end());
      if (upstream && value.producer != kNone) open.push_back(value.producer);
    }
  }
  return found;
}

/// By value: some input has an influence on its elements.
std::vector<bool> depends_on_data(const Graph& graph) {
  std::vector<bool> depends(graph.value_count(), false);
  for (const ValueId v : graph.inputs()) depends[static_cast<std::size_t>(v)] = true;
  for (const NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    const ops::OpDef* op = ops::find_op(n.op);
    if (op != nullptr && op->shape_only) continue;
    const bool any = std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) {
      return v != kNone && depends[static_cast<std::size_t>(v)];
    });
    for (const ValueId v : n.outputs)
      if (v != kNone) depends[static_cast<std::size_t>(v)] = any;
  }
  return depends;
}

/// Floats that an input has an influence on: shapes and other whole numbers pass no cut.
class Passable {
 public:
  explicit Passable(const Graph& graph) : graph_(graph), depends_(depends_on_data(graph)) {}
  bool operator()(ValueId v) const {
    const Value& value = graph_.value(v);
    return value.producer != kNone && value.dtype == DType::Float32 &&
           depends_[static_cast<std::size_t>(v)];
  }

 private:
  const Graph& graph_;
  std::vector<bool> depends_;
};

bool any_weights(const Graph& graph, const std::set<NodeId>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](NodeId id) { return has_weights(graph, id); });
}

std::vector<std::string> names_of(const Graph& graph, const std::set<ValueId>& values) {
  std::vector<std::string> names;
  for (const NodeId id : graph.topological_order())
    for (const ValueId v : graph.node(id).outputs)
      if (values.contains(v)) names.push_back(graph.value(v).name);
  return names;
}

Cut tail_cut(const Graph& graph, const std::set<NodeId>& tail) {
  const Passable passable(graph);
  std::set<ValueId> ends;
  for (const NodeId id : graph.topological_order()) {
    if (tail.contains(id)) continue;
    for (const ValueId v : graph.node(id).outputs) {
      if (v == kNone || !passable(v)) continue;
      const auto& readers = graph.value(v).consumers;
      const bool feeds_tail = std::any_of(readers.begin(), readers.end(),
                                          [&](NodeId reader) { return tail.contains(reader); });
      if (feeds_tail || graph.is_output(v)) ends.insert(v);
    }
  }
  return {{}, names_of(graph, ends)};
}

Cut head_cut(const Graph& graph, const std::set<NodeId>& head) {
  const Passable passable(graph);
  std::set<ValueId> begins;
  for (const NodeId id : head)
    for (const ValueId v : graph.node(id).outputs) {
      if (v == kNone || !passable(v) || !graph.value(v).shape) continue;
      const auto& readers = graph.value(v).consumers;
      if (std::any_of(readers.begin(), readers.end(),
                      [&](NodeId reader) { return !head.contains(reader); }))
        begins.insert(v);
    }
  return {names_of(graph, begins), {}};
}

}  // namespace

Cut find_cut(const Graph& graph, const std::set<NodeId>& unsupported) {
  if (unsupported.empty()) return {};
  const auto behind = reach_of(graph, unsupported, false);
  const auto before = reach_of(graph, unsupported, true);
  std::set<NodeId> all;
  for (const NodeId id : graph.topological_order()) all.insert(id);
  std::set<NodeId> kept;
  std::set_difference(all.begin(), all.end(), behind.begin(), behind.end(),
                      std::inserter(kept, kept.end()));
  if (!any_weights(graph, behind) && any_weights(graph, kept)) return tail_cut(graph, behind);
  kept.clear();
  std::set_difference(all.begin(), all.end(), before.begin(), before.end(),
                      std::inserter(kept, kept.end()));
  if (!any_weights(graph, before) && any_weights(graph, kept)) return head_cut(graph, before);
  return {};
}

}  // namespace espquant::survey
