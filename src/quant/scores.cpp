#include "quant/scores.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/fixed_point.h"
#include "ops/op.h"

namespace espquant::quant {
namespace {

bool is_softmax(const Node& n) { return n.op == "Softmax" || n.op == "LogSoftmax"; }

// Operators whose result is no more exact than what they read.
bool passes_errors_on(std::string_view op) {
  static constexpr std::array<std::string_view, 8> kOps = {"Add", "Clip", "Concat", "Div",
                                                           "Mul", "Neg",  "Pad",    "Sub"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

void widen(const Graph& graph, ValueId scores, std::vector<bool>& wide) {
  std::vector<ValueId> open{scores};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (!is_quantizable(graph, v) || wide[static_cast<std::size_t>(v)]) continue;
    wide[static_cast<std::size_t>(v)] = true;
    const NodeId id = graph.value(v).producer;
    if (id == kNone) continue;
    const Node& n = graph.node(id);
    const bool moves = ops::follows(n, ops::QuantRule::PassThrough);
    // A product of activations: what it reads is as inexact as it is large.
    const bool product = n.op == "MatMul" && !is_weighted(graph, n);
    if (!moves && !product && !passes_errors_on(n.op)) continue;
    for (ValueId in : n.inputs)
      if (in != kNone) open.push_back(in);
  }
}

}  // namespace

std::vector<bool> scores_beyond_8_bits(const Graph& graph, const Plan& plan,
                                       const calib::Statistics& statistics) {
  std::vector<bool> wide(graph.value_count(), false);
  const auto groups = plan.exponents.members();
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!is_softmax(n) || !is_quantizable(graph, n.inputs[0])) continue;
    float largest = 0;
    for (ValueId v : groups[static_cast<std::size_t>(plan.exponents.find(n.inputs[0]))])
      if (plan.rounded[static_cast<std::size_t>(v)])
        largest = std::max(largest, statistics.of(v).extent.abs_max());
    if (covering_exponent(largest, max_q_of(8)) > kLargestScoreExponent)
      widen(graph, n.inputs[0], wide);
  }
  return wide;
}

}  // namespace espquant::quant
