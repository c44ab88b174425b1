#include "lower/lower.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/version.h"
#include "lower/rules.h"
#include "ops/unsupported.h"

namespace espquant::lower {
namespace {

// Operators whose kernels read channels last (ESP-DL 3.0).
bool wants_channels_last(std::string_view op) {
  static constexpr std::array<std::string_view, 9> kOps = {
      "AveragePool", "Conv",    "DepthToSpace", "GlobalAveragePool", "GlobalMaxPool",
      "InsertZeros", "MaxPool", "Resize",       "SpaceToDepth"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

bool has_a_slope_per_channel(const Graph& graph, const Node& n) {
  if (n.op != "PRelu") return false;
  const auto& input = graph.value(n.inputs[0]).shape;
  const auto& slope = graph.value(n.inputs[1]).shape;
  if (!input || !slope || slope->size() + 1 < input->size()) return false;
  const std::int64_t channels = (*slope)[slope->size() + 1 - input->size()];
  return channels > 1 && element_count(*slope) == channels;
}

// Operators that work in whatever order their input stands.
bool keeps_order(std::string_view op) {
  static constexpr std::array<std::string_view, 16> kOps = {
      "Add", "Clip", "Concat", "Div",     "Elu",   "HardSigmoid", "HardSwish", "LeakyRelu",
      "Mul", "Pad",  "Relu",   "Sigmoid", "Slice", "Split",       "Sub",       "Swish"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

// A graph input stands channels last when that is what the first operator that cares about order
// wants.
bool reaches_channels_last(const Graph& graph, ValueId input) {
  std::set<ValueId> seen{input};
  std::vector<ValueId> open{input};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    for (NodeId id : graph.value(v).consumers) {
      const Node& n = graph.node(id);
      if (wants_channels_last(n.op) || has_a_slope_per_channel(graph, n)) return true;
      if (!keeps_order(n.op)) continue;
      for (ValueId out : n.outputs)
        if (out != kNone && seen.insert(out).second) open.push_back(out);
    }
  }
  return false;
}

const RuleEntry* find_rule(const Node& n) {
  const auto rules = all_rules();
  const auto it =
      std::find_if(rules.begin(), rules.end(), [&](const RuleEntry& r) { return r.op == n.op; });
  return it == rules.end() ? nullptr : &*it;
}

// What a channels-last operator writes stays so: that is where the post-processing of ESP-DL
// expects it. A value that is another tensor seen in another order is written out in the network's
// own. Returns the order of the output.
Perm finish_output(Builder& b, ValueId v) {
  const Stored s = b.stored(v);
  const std::string& name = b.graph().value(v).name;
  if (s.name == name) return s.perm;
  const Perm natural = identity_perm(s.perm.size());
  b.write_reordered(s, b.shape(v), natural, name);
  return natural;
}

}  // namespace

std::string layout_key(std::string_view tensor) {
  return fmt::format("espquant.layout.{}", tensor);
}

std::string type_key(std::string_view tensor) { return fmt::format("espquant.type.{}", tensor); }

std::vector<std::string> supported_operators() {
  std::vector<std::string> names;
  for (const RuleEntry& r : all_rules()) names.emplace_back(r.op);
  return names;
}

std::vector<ValueId> unread_inputs(const Graph& graph) {
  std::vector<ValueId> unread;
  for (ValueId v : graph.inputs())
    if (graph.value(v).consumers.empty() && !graph.is_output(v)) unread.push_back(v);
  return unread;
}

namespace {

/// The chip computes with quantized floats: whole numbers that a network uses as such, it cannot
/// take.
void refuse_whole_numbers(const Graph& network, ValueId input) {
  const Value& value = network.value(input);
  if (value.dtype == DType::Float32 || value.consumers.empty()) return;
  for (const NodeId id : value.consumers) {
    const Node& node = network.node(id);
    if (node.op != "Gather" || node.inputs.at(1) != input) continue;
    const Value& rows = network.value(node.outputs.at(0));
    throw Error(ErrorCode::Unsupported,
                fmt::format("the network looks rows up by this input, and ESP-DL's Gather takes "
                            "constant positions only (ESP-DL 3.14)"))
        .tensor(value.name)
        .node(node.name)
        .remedy(fmt::format("Look the rows up in the application: export the part of the network "
                            "behind '{}', whose input is the rows (float32 {})",
                            node.name, rows.shape ? to_string(*rows.shape) : "of their shape"));
  }
  throw Error(ErrorCode::Unsupported,
              fmt::format("the network computes with this input as {}, the chip with quantized "
                          "floats",
                          to_string(value.dtype)))
      .tensor(value.name)
      .remedy(
          "Give the input float32 in the exporting script, or a Cast to float32 right behind it");
}

}  // namespace

std::vector<ops::NodeRefusal> refused_nodes(const Graph& graph) {
  std::vector<ops::NodeRefusal> refused;
  for (const ValueId v : graph.inputs()) {
    try {
      refuse_whole_numbers(graph, v);
    } catch (const Error& error) {
      for (const NodeId id : graph.value(v).consumers)
        if (error.node().empty() || error.node() == graph.node(id).name)
          refused.push_back({id, error});
    }
  }
  for (const NodeId id : graph.topological_order())
    if (find_rule(graph.node(id)) == nullptr)
      refused.push_back({id, ops::unsupported_nodes(graph, {id}, "ESP-DL has no such operator")});
  return refused;
}

void require_operators(const Graph& graph) {
  for (ValueId v : graph.inputs()) refuse_whole_numbers(graph, v);
  std::vector<NodeId> missing;
  for (NodeId id : graph.topological_order())
    if (find_rule(graph.node(id)) == nullptr) missing.push_back(id);
  if (!missing.empty())
    throw ops::unsupported_nodes(graph, missing, "operators that ESP-DL has not");
}

Lowered lower(const Graph& graph, const Target& target, const Options& options) {
  require_operators(graph);
  Builder b(graph, target, options);
  espdl::Model& model = b.model();
  model.name = graph.name;
  model.producer = "espquant";
  model.producer_version = version();
  model.metadata.emplace_back("target", target.name);
  model.metadata.emplace_back("espquant.espdl", target.release.version);
  const std::vector<ValueId> unread = unread_inputs(graph);
  if (unread.size() == graph.inputs().size())
    throw Error(ErrorCode::Illegal,
                "no node reads an input of the network: its outputs are constant")
        .remedy("Check how the network was exported; a constant needs no chip");
  for (ValueId v : graph.inputs()) {
    if (std::find(unread.begin(), unread.end(), v) != unread.end()) continue;
    const std::size_t rank = b.shape(v).size();
    const Perm perm = rank >= 3 && reaches_channels_last(graph, v) ? channels_last_perm(rank)
                                                                   : identity_perm(rank);
    model.inputs.push_back(b.define(v, perm));
  }
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    b.begin(n);
    const bool written = std::all_of(n.outputs.begin(), n.outputs.end(),
                                     [&](ValueId v) { return v == kNone || b.is_stored(v); });
    if (written && !n.outputs.empty()) continue;  // fused into its producer
    try {
      find_rule(n)->rule(b, n);
    } catch (Error& e) {
      e.node(n.name);
      if (options.refused == nullptr || e.code() == ErrorCode::Internal) throw;
      options.refused->push_back({id, e});
      for (ValueId v : n.outputs)
        if (v != kNone && !b.is_stored(v)) b.define(v, identity_perm(b.shape(v).size()));
    }
  }
  const auto note_layout = [&](ValueId v, const Perm& perm) {
    model.metadata.emplace_back(layout_key(graph.value(v).name),
                                fmt::format("{}", fmt::join(perm, ",")));
  };
  for (ValueId v : graph.inputs()) {
    if (!b.is_stored(v)) continue;
    note_layout(v, b.stored(v).perm);
    if (graph.value(v).given != DType::Undefined)
      model.metadata.emplace_back(type_key(graph.value(v).name),
                                  std::string(to_string(graph.value(v).given)));
  }
  for (ValueId v : graph.outputs()) {
    if (!b.is_stored(v))
      throw Error(ErrorCode::Illegal, "this output is a constant, which the chip cannot put out")
          .tensor(graph.value(v).name)
          .remedy("Leave the output out of the network");
    note_layout(v, finish_output(b, v));
    model.outputs.push_back(graph.value(v).name);
  }
  return {std::move(model), b.orders(), b.requantized()};
}

}  // namespace espquant::lower
