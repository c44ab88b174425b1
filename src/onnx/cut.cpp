#include "onnx/cut.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "onnx/inline_graphs.h"

namespace espquant::onnx {
namespace {

class Cutter {
 public:
  explicit Cutter(onnx_schema::Graph& graph) : graph_(graph) {
    for (const auto& tensor : graph.initializer()) constants_.insert(tensor.name());
    for (int i = 0; i < graph.node_size(); ++i)
      for (const std::string& output : graph.node(i).output())
        if (!output.empty()) producers_.emplace(output, i);
    for (const auto& input : graph.input())
      if (!constants_.contains(input.name())) inputs_.insert(input.name());
  }

  /// The values that a name of a value or a node stands for.
  std::vector<std::string> resolve(const std::string& name, std::string_view option) const {
    if (producers_.contains(name) || inputs_.contains(name)) return {name};
    if (constants_.contains(name))
      throw Error(ErrorCode::Usage, fmt::format("{}: '{}' is a constant", option, name));
    std::vector<std::string> known(inputs_.begin(), inputs_.end());
    for (const auto& node : graph_.node()) {
      if (node.name() == name && !name.empty()) {
        std::vector<std::string> values;
        for (const std::string& output : node.output())
          if (!output.empty()) values.push_back(output);
        return values;
      }
      known.push_back(node.name());
      known.insert(known.end(), node.output().begin(), node.output().end());
    }
    const std::string near = nearest_name(name, known);
    throw Error(ErrorCode::Usage,
                fmt::format("{}: the network has no value or node '{}'", option, name))
        .remedy(near.empty() ? "espquant inspect lists the nodes; Netron shows the values' names"
                             : fmt::format("did you mean '{}'?", near));
  }

  void set_outputs(const std::vector<std::string>& names) {
    graph_.clear_output();
    std::set<std::string> seen;
    for (const std::string& name : names)
      for (const std::string& value : resolve(name, "--outputs"))
        if (seen.insert(value).second) graph_.add_output()->set_name(value);
  }

  /// `described`: what describe() said, since afterwards nothing computes the value.
  void set_input(const std::string& value, const onnx_schema::ValueInfo& described) {
    for (auto& node : *graph_.mutable_node())
      for (std::string& output : *node.mutable_output())
        if (output == value) output.clear();
    *graph_.add_input() = described;
    graph_.mutable_input(graph_.input_size() - 1)->set_name(value);
  }

  /// Only nodes that an output depends on, only inputs that one of them reads. Inputs that were
  /// unread in the file as well are none of this cut's business.
  void prune(const std::vector<std::string>& wanted) {
    const std::set<std::string> before = reads();
    keep_needed_nodes();
    const std::set<std::string> after = reads();
    for (const std::string& name : wanted)
      if (!after.contains(name))
        throw Error(ErrorCode::Usage,
                    fmt::format("--inputs: no output of the network depends on '{}'", name));
    auto& inputs = *graph_.mutable_input();
    inputs.erase(std::remove_if(inputs.begin(), inputs.end(),
                                [&](const onnx_schema::ValueInfo& input) {
                                  return before.contains(input.name()) &&
                                         !after.contains(input.name());
                                }),
                 inputs.end());
  }

 private:
  std::set<std::string> reads() const {
    std::map<std::string, int> counts;
    collect_reads(graph_.node(), counts);
    std::set<std::string> names;
    for (const auto& [name, count] : counts) names.insert(name);
    for (const auto& output : graph_.output()) names.insert(output.name());
    return names;
  }

  void keep_needed_nodes() {
    std::vector<std::string> open;
    for (const auto& output : graph_.output()) open.push_back(output.name());
    std::set<int> needed;
    while (!open.empty()) {
      const auto producer = producers_.find(open.back());
      const std::string value = std::move(open.back());
      open.pop_back();
      if (producer == producers_.end()) continue;
      const auto& outputs = graph_.node(producer->second).output();
      // Cut off by set_input.
      if (std::find(outputs.begin(), outputs.end(), value) == outputs.end()) continue;
      if (!needed.insert(producer->second).second) continue;
      std::map<std::string, int> reads;
      collect_reads(graph_.node(producer->second), reads);
      for (const auto& [name, count] : reads) open.push_back(name);
    }
    auto& nodes = *graph_.mutable_node();
    int kept = 0;
    for (int i = 0; i < nodes.size(); ++i)
      if (needed.contains(i)) nodes.SwapElements(kept++, i);
    nodes.DeleteSubrange(kept, nodes.size() - kept);
  }

  onnx_schema::Graph& graph_;
  std::set<std::string> constants_, inputs_;
  std::map<std::string, int> producers_;
};

}  // namespace

const onnx_schema::ValueInfo* stated_value(const onnx_schema::Graph& graph,
                                           const std::string& name) {
  for (const auto* list : {&graph.input(), &graph.value_info(), &graph.output()})
    for (const onnx_schema::ValueInfo& info : *list)
      if (info.name() == name && info.type().has_tensor_type()) return &info;
  return nullptr;
}

bool states_shape(const onnx_schema::ValueInfo& info) {
  const auto& type = info.type().tensor_type();
  return type.has_shape() &&
         std::all_of(type.shape().dim().begin(), type.shape().dim().end(),
                     [](const onnx_schema::Dimension& dim) { return dim.dim_value() > 0; });
}

void cut(onnx_schema::Graph& graph, const std::vector<std::string>& inputs,
         const std::vector<std::string>& outputs,
         const std::function<onnx_schema::ValueInfo(const std::string&)>& describe) {
  if (inputs.empty() && outputs.empty()) return;
  Cutter cutter(graph);
  std::vector<std::pair<std::string, onnx_schema::ValueInfo>> begin;
  std::vector<std::string> wanted;
  for (const std::string& name : inputs)
    for (const std::string& value : cutter.resolve(name, "--inputs")) {
      if (std::find(wanted.begin(), wanted.end(), value) != wanted.end()) continue;
      wanted.push_back(value);
      const bool given = std::any_of(graph.input().begin(), graph.input().end(),
                                     [&](const auto& input) { return input.name() == value; });
      if (!given) begin.emplace_back(value, describe(value));
    }
  if (!outputs.empty()) cutter.set_outputs(outputs);
  for (const auto& [value, described] : begin) cutter.set_input(value, described);
  cutter.prune(wanted);
}

}  // namespace espquant::onnx
