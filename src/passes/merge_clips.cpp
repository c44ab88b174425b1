#include <algorithm>
#include <limits>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Bounds that no number of a network reaches stand for "no bound", where exporters must write one
// or guard against overflow.
constexpr float kBeyondAll = 1e30F;
float lower_bound(float v) { return v > -kBeyondAll ? v : -kInfinity; }
float upper_bound(float v) { return v < kBeyondAll ? v : kInfinity; }

/// clamp(data, low, high).
struct Clamp {
  ValueId data = kNone;
  float low = -kInfinity;
  float high = kInfinity;
};

/// What a Relu, Clip, Min or Max with constant scalar bounds does.
std::optional<Clamp> clamp_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.inputs.empty() || node.inputs[0] == kNone || node.outputs.at(0) == kNone ||
      graph.value(node.outputs[0]).dtype != DType::Float32)
    return std::nullopt;
  if (node.op == "Relu") return Clamp{node.inputs[0], 0.F, kInfinity};
  if (node.op == "Clip") {
    const auto low = scalar_of(graph, node.input(1)), high = scalar_of(graph, node.input(2));
    if ((node.input(1) != kNone && !low) || (node.input(2) != kNone && !high)) return std::nullopt;
    return Clamp{node.inputs[0], low ? lower_bound(*low) : -kInfinity,
                 high ? upper_bound(*high) : kInfinity};
  }
  if (node.op != "Min" && node.op != "Max") return std::nullopt;
  const auto operands = split_constant(graph, node);
  if (!operands || graph.value(operands->data).shape != graph.value(node.outputs[0]).shape)
    return std::nullopt;
  const auto bound = scalar_of(graph, operands->constant);
  if (!bound) return std::nullopt;
  return node.op == "Min" ? Clamp{operands->data, -kInfinity, upper_bound(*bound)}
                          : Clamp{operands->data, lower_bound(*bound), kInfinity};
}

/// `second` after `first`, for first.low <= first.high.
Clamp composed(const Clamp& first, const Clamp& second) {
  const auto bounded = [&](float v) { return std::min(std::max(v, second.low), second.high); };
  return {first.data, bounded(first.low), bounded(first.high)};
}

void write(Graph& graph, NodeId id, const Clamp& clamp) {
  if (clamp.low == -kInfinity && clamp.high == kInfinity) {
    become(graph, id, "Identity", {clamp.data});
    return;
  }
  if (clamp.low == 0.F && clamp.high == kInfinity) {
    become(graph, id, "Relu", {clamp.data});
    return;
  }
  const std::string name = graph.node(id).name;
  const auto bound = [&](const char* which, float v) {
    return v == -kInfinity || v == kInfinity ? kNone
                                             : add_constant(graph, name + which, Tensor::scalar(v));
  };
  const ValueId low = bound("_min", clamp.low), high = bound("_max", clamp.high);
  std::vector<ValueId> inputs = {clamp.data, low, high};
  while (inputs.back() == kNone) inputs.pop_back();
  become(graph, id, "Clip", inputs);
}

bool merge_clip(Graph& graph, NodeId id) {
  auto clamp = clamp_of(graph, id);
  if (!clamp || !(clamp->low <= clamp->high)) return false;
  const std::string& op = graph.node(id).op;
  bool changed =
      op == "Min" || op == "Max" || (op == "Clip" && clamp->low == 0.F && clamp->high == kInfinity);
  const NodeId before =
      only_reader(graph, clamp->data) == id ? graph.value(clamp->data).producer : kNone;
  if (before != kNone) {
    const auto first = clamp_of(graph, before);
    if (first && first->low <= first->high) {
      clamp = composed(*first, *clamp);
      changed = true;
    }
  }
  if (changed) write(graph, id, *clamp);
  return changed;
}

}  // namespace

std::int64_t merge_clips(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_clip(graph, id); });
}

}  // namespace espquant::passes
