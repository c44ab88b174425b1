#include "survey/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lower/lower.h"
#include "measure/planned_memory.h"
#include "ops/op.h"
#include "ops/unsupported.h"
#include "passes/constant_outputs.h"
#include "passes/pass_manager.h"
#include "survey/cut.h"
#include "survey/nominal.h"
#include "survey/operator_table.h"

namespace espquant::survey {
namespace {

bool has_open_shape(const Value& value) {
  return !value.shape || std::any_of(value.shape->begin(), value.shape->end(),
                                     [](std::int64_t e) { return e < 0; });
}

class Surveyor {
 public:
  Surveyor(Graph imported, const Target& target, const cost::LatencyOptions& latency)
      : whole_(std::move(imported)), target_(target), latency_(latency) {}

  Survey run(std::span<const Error> refused_at_import) {
    ops::settle_inputs(whole_);
    std::map<std::string, Error> at_import;
    for (const Error& error : refused_at_import) at_import.emplace(error.node(), error);
    for (const auto& [id, error] : ops::infer_known_shapes(whole_)) {
      const Node& node = whole_.node(id);
      const auto known = at_import.find(node.name);
      if (known != at_import.end())
        refused_.emplace(id, known->second);
      else
        refused_.emplace(id, ops::find_op(node.op) == nullptr ? no_operator(whole_, id) : error);
    }
    while (look_at_the_rest()) {
    }
    return finish();
  }

 private:
  /// Nodes that read what is not known before data.
  std::set<NodeId> unknown_nodes() const {
    std::set<NodeId> unknown;
    for (const NodeId id : whole_.topological_order()) {
      if (refused_.contains(id)) continue;
      const Node& n = whole_.node(id);
      for (const ValueId v : n.inputs) {
        if (v == kNone) continue;
        const Value& value = whole_.value(v);
        const bool from_gap = value.producer != kNone && (refused_.contains(value.producer) ||
                                                          unknown.contains(value.producer));
        // A shape that is computed from data.
        if (has_open_shape(value) || (from_gap && value.dtype != DType::Float32))
          unknown.insert(id);
      }
    }
    return unknown;
  }

  static Error no_operator(const Graph& graph, NodeId id) {
    const Node& node = graph.node(id);
    const OperatorGroup* group = group_of(node.op);
    if (group == nullptr || ops::is_quantized_arithmetic(node.op))
      return ops::unsupported_nodes(graph, {id}, "ESP-DL has no such operator");
    Error error(ErrorCode::Unsupported, fmt::format("ESP-DL has no {}", node.op));
    error.node(node.name);
    if (group->way == Way::None) return error.remedy(group->note);
    return error.remedy(
        fmt::format("It is rewritten in other cases only ({}); leave it and what "
                    "follows to the application, or express it otherwise",
                    group->note));
  }

  /// The network without the nodes that are refused or unknown: what they would put out is given.
  Graph rest() const {
    Graph rest = whole_;
    std::vector<NodeId> gaps;
    for (const NodeId id : whole_.topological_order())
      if (refused_.contains(id) || unknown_.contains(id)) gaps.push_back(id);
    const auto in_gap = [&](NodeId id) { return refused_.contains(id) || unknown_.contains(id); };
    std::vector<ValueId> outputs;
    for (std::size_t i = 0; i < whole_.value_count(); ++i) {
      const auto v = static_cast<ValueId>(i);
      const Value& value = whole_.value(v);
      if (value.producer == kNone || in_gap(value.producer)) continue;
      if (whole_.is_output(v) ||
          std::any_of(value.consumers.begin(), value.consumers.end(), in_gap))
        outputs.push_back(v);
    }
    for (const NodeId id : gaps) {
      const std::vector<ValueId> freed = rest.node(id).outputs;
      rest.remove_node(id);
      for (const ValueId v : freed)
        if (v != kNone && !has_open_shape(rest.value(v))) rest.add_input(v);
    }
    rest.set_outputs(std::move(outputs));
    rest.remove_dead();
    return rest;
  }

  /// True when a node was found that has to be left out, after which the rest is another.
  bool look_at_the_rest() {
    unknown_ = unknown_nodes();
    Graph network = rest();
    if (network.outputs().empty() || network.topological_order().empty()) return false;
    removed_by_.clear();
    costs_.clear();
    only_bits_.clear();
    std::vector<passes::PassRecord> records;
    const std::size_t before = refused_.size();
    try {
      passes::drop_constant_outputs(network);
      network = passes::simplify(network, {}, &records);
      drop_constants(network);
    } catch (const Error& error) {
      // What the rewrites made until then is gone; its names begin with those of the file's nodes.
      const NodeId id = node_named(whole_, error.node());
      if (id == kNone || error.code() == ErrorCode::Internal || !refused_.emplace(id, error).second)
        throw;
      return true;
    }
    for (const auto& record : records)
      for (const NodeId id : record.removed) removed_by_.emplace(id, record.name);
    for (const auto& [id, error] : lower::refused_nodes(network))
      // An input of whole numbers is named by its tensor.
      refuse(network, id, error.tensor().empty() ? no_operator(network, id) : error);
    if (refused_.size() > before) return true;
    simplified_ = std::move(network);
    std::map<int, std::map<NodeId, Error>> refused;
    for (const int bits : {8, 16}) refused[bits] = draft_with(bits);
    for (const auto& [id, error] : refused[8]) {
      if (refused[16].contains(id))
        refuse(simplified_, id, error);
      else
        only_bits_[simplified_.node(id).origin] = 16;
    }
    for (const auto& [id, error] : refused[16])
      if (!refused[8].contains(id)) only_bits_[simplified_.node(id).origin] = 8;
    return refused_.size() > before;
  }

  void drop_constants(Graph& network) const {
    std::vector<ValueId> kept;
    for (const ValueId v : network.outputs())
      if (!network.value(v).is_constant()) kept.push_back(v);
    network.set_outputs(std::move(kept));
    network.remove_dead();
  }

  /// By nodes of the simplified network: what the chip refuses in this width. The cost where it
  /// refuses nothing.
  std::map<NodeId, Error> draft_with(int bits) {
    std::map<NodeId, Error> refused;
    if (simplified_.topological_order().empty()) return refused;
    Draft made;
    try {
      made = draft(simplified_, target_, bits);
    } catch (const Error& error) {
      const NodeId id = node_named(simplified_, error.node());
      if (id == kNone) throw;
      refused.emplace(id, error);
      return refused;
    }
    for (const auto& [id, error] : made.refused) refused.emplace(id, error);
    if (!refused.empty()) return refused;
    for (const sim::Finding& finding : measure::check_model(made.model, target_)) {
      const NodeId id = node_named(simplified_, finding.node);
      if (finding.severity != sim::Severity::Defect || id == kNone) continue;
      refused.emplace(
          id, Error(ErrorCode::Illegal, finding.message).node(finding.node).remedy(finding.remedy));
    }
    if (!refused.empty()) return refused;
    WidthCost& cost = costs_.emplace_back();
    cost.bits = bits;
    cost.memory = cost::plan_memory(made.model, target_);
    cost.milliseconds = cost::estimate_latency(made.model, target_, latency_).milliseconds;
    return refused;
  }

  /// Of that name, or the one whose name the lowering extended.
  static NodeId node_named(const Graph& graph, std::string_view name) {
    NodeId best = kNone;
    std::size_t longest = 0;
    for (const NodeId id : graph.topological_order()) {
      const std::string& known = graph.node(id).name;
      if (known == name) return id;
      if (known.size() > longest && name.starts_with(known)) {
        best = id;
        longest = known.size();
      }
    }
    return best;
  }

  void refuse(const Graph& graph, NodeId id, const Error& error) {
    refused_.emplace(graph.node(id).origin, error);
  }

  static std::string description_of(const std::string& pass) {
    for (const passes::Pass& known : passes::all_passes())
      if (known.name == pass) return std::string(known.description);
    return pass;
  }

  std::map<NodeId, std::vector<std::string>> operators_by_origin() const {
    std::map<NodeId, std::vector<std::string>> operators;
    for (const NodeId id : simplified_.topological_order())
      operators[simplified_.node(id).origin].push_back(simplified_.node(id).op);
    return operators;
  }

  Survey finish() {
    Survey survey;
    const auto operators = operators_by_origin();
    std::set<NodeId> gaps;
    for (const NodeId id : whole_.topological_order()) {
      const Node& n = whole_.node(id);
      NodeVerdict verdict{n.name, n.op, Verdict::Supported, {}, {}, {}, 0};
      const auto refused = refused_.find(id);
      const auto becomes = operators.find(id);
      const auto width = only_bits_.find(id);
      if (width != only_bits_.end()) verdict.only_bits = width->second;
      if (refused != refused_.end()) {
        verdict.verdict = Verdict::Unsupported;
        verdict.message = refused->second.message();
        verdict.remedy = refused->second.remedy();
        gaps.insert(id);
      } else if (unknown_.contains(id)) {
        verdict.verdict = Verdict::Unknown;
        gaps.insert(id);
      } else if (becomes == operators.end()) {
        verdict.verdict = Verdict::Rewritten;
        const auto pass = removed_by_.find(id);
        verdict.message = description_of(pass == removed_by_.end() ? "remove_dead" : pass->second);
      } else if (becomes->second != std::vector<std::string>{n.op}) {
        verdict.verdict = Verdict::Rewritten;
        verdict.becomes = becomes->second;
      }
      survey.nodes.push_back(std::move(verdict));
    }
    survey.costs = std::move(costs_);
    survey.cut = find_cut(whole_, gaps);
    return survey;
  }

  Graph whole_;
  const Target& target_;
  const cost::LatencyOptions& latency_;
  /// By nodes of the whole network.
  std::map<NodeId, Error> refused_;
  std::set<NodeId> unknown_;
  /// Of the rest.
  Graph simplified_;
  std::map<NodeId, std::string> removed_by_;
  std::map<NodeId, int> only_bits_;
  std::vector<WidthCost> costs_;
};

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Supported:
      return "supported";
    case Verdict::Rewritten:
      return "rewritten";
    case Verdict::Unsupported:
      return "unsupported";
    case Verdict::Unknown:
      return "unknown";
  }
  return "";
}

std::size_t Survey::unsupported() const {
  return static_cast<std::size_t>(
      std::count_if(nodes.begin(), nodes.end(), [](const NodeVerdict& node) {
        return node.verdict == Verdict::Unsupported || node.verdict == Verdict::Unknown;
      }));
}

Survey survey(Graph imported, const Target& target, std::span<const Error> refused_at_import,
              const cost::LatencyOptions& latency) {
  return Surveyor(std::move(imported), target, latency).run(refused_at_import);
}

}  // namespace espquant::survey
