#include "quant/groups.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "base/fixed_point.h"
#include "ops/op.h"
#include "quant/uneven_outputs.h"

namespace espquant::quant {

using ops::QuantRule;

ValueSets::ValueSets(std::size_t count) : parent_(count) {
  std::iota(parent_.begin(), parent_.end(), ValueId{0});
}

ValueId ValueSets::find(ValueId v) const {
  while (parent_[static_cast<std::size_t>(v)] != v) v = parent_[static_cast<std::size_t>(v)];
  return v;
}

void ValueSets::shorten(ValueId v) {
  const ValueId top = find(v);
  while (v != top) v = std::exchange(parent_[static_cast<std::size_t>(v)], top);
}

void ValueSets::join(ValueId a, ValueId b) {
  shorten(a);
  shorten(b);
  a = find(a);
  b = find(b);
  // The smaller id represents, so that the order of joins does not show.
  if (a != b) parent_[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
}

std::vector<std::vector<ValueId>> ValueSets::members() const {
  std::vector<std::vector<ValueId>> sets(parent_.size());
  for (std::size_t v = 0; v < parent_.size(); ++v)
    sets[static_cast<std::size_t>(find(static_cast<ValueId>(v)))].push_back(
        static_cast<ValueId>(v));
  return sets;
}

bool is_quantizable(const Graph& graph, ValueId v) {
  if (v == kNone) return false;
  const Value& value = graph.value(v);
  return value.dtype == DType::Float32 && !value.is_constant() &&
         (value.producer != kNone || graph.is_input(v));
}

ValueId first_rounded_output(const Graph& graph, const Node& n) {
  for (ValueId v : n.outputs)
    if (is_quantizable(graph, v)) return v;
  return kNone;
}

namespace {

QuantRule rule_of(const Node& n) {
  const ops::OpDef* def = ops::find_op(n.op);
  return def ? def->quant : QuantRule::Float;
}

// The node that alone reads the output of `n`, as its first input.
NodeId only_successor(const Graph& graph, NodeId n) {
  const Node& node = graph.node(n);
  // A layer that feeds its output back to itself reads it, too.
  if (rule_of(node) == QuantRule::Recurrent) return kNone;
  if (node.outputs.size() != 1 || node.outputs[0] == kNone) return kNone;
  const ValueId out = node.outputs[0];
  if (graph.value(out).consumers.size() != 1 || graph.is_output(out)) return kNone;
  const NodeId reader = graph.value(out).consumers[0];
  return graph.node(reader).inputs[0] == out ? reader : kNone;
}

}  // namespace

NodeId following_activation(const Graph& graph, NodeId n) {
  const NodeId next = only_successor(graph, n);
  if (next == kNone) return kNone;
  const std::string& op = graph.node(next).op;
  return op == "Relu" || op == "Clip" ? next : kNone;
}

NodeId following_function(const Graph& graph, NodeId n) {
  static const std::set<std::string_view> functions{
      "Clip",  "Elu",  "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish",
      "PRelu", "Relu", "Selu", "Sigmoid",     "Softplus",  "Swish",     "Tanh"};
  const NodeId next = only_successor(graph, n);
  return next != kNone && functions.contains(graph.node(next).op) ? next : kNone;
}

std::optional<ClipBounds> clip_bounds(const Graph& graph, const Node& clip) {
  ClipBounds bounds{-std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::infinity()};
  for (std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const ValueId v = clip.input(i);
    if (v == kNone) continue;
    const Tensor& constant = graph.value(v).constant;
    if (!constant.defined() || constant.size() != 1 || constant.dtype() != DType::Float32)
      return std::nullopt;
    (i == 1 ? bounds.min : bounds.max) = constant.data<float>()[0];
  }
  return bounds;
}

TensorQuant compared_quant(const Graph& graph, const Node& comparison) {
  TensorQuant quant{8, {-kLargestScaleShift}, -1};
  for (ValueId v : comparison.inputs) {
    const auto& own = graph.value(v).quant;
    if (!is_quantizable(graph, v) || !own) continue;
    quant.bits = std::max(quant.bits, own->bits);
    quant.exponents = {std::max(quant.exponent(), own->exponent())};
  }
  return quant;
}

bool is_weighted(const Graph& graph, const Node& n) {
  if (n.op != "Conv" && n.op != "Gemm" && n.op != "ConvTranspose" && n.op != "MatMul") return false;
  const ValueId weights = n.input(1);
  if (weights == kNone || !graph.value(weights).is_constant()) return false;
  // One matrix for each entry of a batch is an operand like any other.
  return n.op != "MatMul" || graph.value(weights).constant.rank() == 2;
}

namespace {

bool only_reader(const Graph& graph, ValueId v) {
  return graph.value(v).consumers.size() == 1 && !graph.is_output(v);
}

// f(s * x) = s * f(x) for s > 0, for all data inputs at once.
bool is_homogeneous(const Graph& graph, const Node& n) {
  static constexpr std::array<std::string_view, 25> kOps = {"Add",
                                                            "AveragePool",
                                                            "Clip",
                                                            "Concat",
                                                            "DepthToSpace",
                                                            "Flatten",
                                                            "GlobalAveragePool",
                                                            "Identity",
                                                            "InsertZeros",
                                                            "LeakyRelu",
                                                            "MaxPool",
                                                            "Neg",
                                                            "PRelu",
                                                            "ReduceMax",
                                                            "ReduceMean",
                                                            "ReduceMin",
                                                            "ReduceSum",
                                                            "Relu",
                                                            "Reshape",
                                                            "Slice",
                                                            "Split",
                                                            "Squeeze",
                                                            "Sub",
                                                            "Transpose",
                                                            "Unsqueeze"};
  if (std::find(kOps.begin(), kOps.end(), n.op) == kOps.end()) return false;
  if (n.op == "Clip") return clip_bounds(graph, n).has_value();
  if (n.op == "Add" || n.op == "Sub" || n.op == "Concat") {
    return std::none_of(n.inputs.begin(), n.inputs.end(),
                        [&](ValueId v) { return v != kNone && graph.value(v).is_constant(); });
  }
  return true;
}

}  // namespace

ValueSets exponent_groups(const Graph& graph) {
  ValueSets sets(graph.value_count());
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (const NodeId activation = following_activation(graph, id); activation != kNone)
      sets.join(n.outputs[0], graph.node(activation).outputs[0]);
    const QuantRule rule = rule_of(n);
    if (rule == QuantRule::PassThrough) {
      for (ValueId out : n.outputs)
        if (is_quantizable(graph, out) && is_quantizable(graph, n.input(0)))
          sets.join(n.inputs[0], out);
    } else if (rule == QuantRule::Recurrent) {
      // Y, Y_h and initial_h (ESP-DL 3.19).
      const ValueId initial = n.input(5);
      // An input, too: it is what a run before has put out.
      const bool own = initial != kNone && graph.value(initial).consumers.size() == 1 &&
                       !graph.is_output(initial);
      const std::array states{n.outputs[0], n.outputs.size() > 1 ? n.outputs[1] : kNone,
                              own ? initial : kNone};
      ValueId first = kNone;
      for (ValueId v : states) {
        if (v == kNone || !is_quantizable(graph, v)) continue;
        if (first == kNone) first = v;
        sets.join(first, v);
      }
    } else if (rule == QuantRule::AlignInputs) {
      const bool apart = keeps_operands_apart(n);
      for (ValueId in : n.inputs)
        if (is_quantizable(graph, in) && only_reader(graph, in) &&
            (!apart || is_from_marked_concat(graph, in)))
          sets.join(in, n.outputs[0]);
    } else if (rule == QuantRule::CompareInputs) {
      ValueId first = kNone;
      for (ValueId in : n.inputs) {
        if (!is_quantizable(graph, in) || !only_reader(graph, in)) continue;
        if (first == kNone) first = in;
        sets.join(first, in);
      }
    }
  }
  return sets;
}

ScaleGroups scale_groups(const Graph& graph) {
  ScaleGroups groups{ValueSets(graph.value_count()), std::vector<bool>(graph.value_count(), false)};
  std::vector<ValueId> pinned;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (graph.is_input(id) || graph.is_output(id)) pinned.push_back(id);
  }
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (is_weighted(graph, n)) continue;
    const bool homogeneous = is_homogeneous(graph, n);
    ValueId first = kNone;
    const auto visit = [&](ValueId v) {
      if (!is_quantizable(graph, v)) return;
      if (!homogeneous)
        pinned.push_back(v);
      else if (first == kNone)
        first = v;
      else
        groups.sets.join(first, v);
    };
    for (ValueId v : n.inputs) visit(v);
    for (ValueId v : n.outputs) visit(v);
  }
  for (ValueId v : pinned) groups.fixed[static_cast<std::size_t>(groups.sets.find(v))] = true;
  return groups;
}

}  // namespace espquant::quant
