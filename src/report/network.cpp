#include "report/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "ops/op.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::report {
namespace {

using Json = nlohmann::ordered_json;

Network::Port port_of(const Value& value) { return {value.name, value.dtype, value.shape}; }

std::string shape_text(const std::optional<Shape>& shape) {
  if (!shape) return "?";
  if (shape->empty()) return to_string(*shape);
  std::string text;
  for (const std::int64_t extent : *shape)
    text += fmt::format("{}{}", text.empty() ? "" : "x", extent < 0 ? "?" : std::to_string(extent));
  return text;
}

std::string join(const std::vector<std::optional<Shape>>& shapes) {
  std::string text;
  for (const auto& shape : shapes) text += (text.empty() ? "" : ", ") + shape_text(shape);
  return text;
}

/// null where it is not known, in place of an extent, too.
Json shape_json(const std::optional<Shape>& shape) {
  if (!shape) return nullptr;
  Json json = Json::array();
  for (const std::int64_t extent : *shape) json.push_back(extent < 0 ? Json() : Json(extent));
  return json;
}

Json shapes_json(const std::vector<std::optional<Shape>>& shapes) {
  Json json = Json::array();
  for (const auto& shape : shapes) json.push_back(shape_json(shape));
  return json;
}

/// Of a node behind open extents, or that is not known, nothing can be said.
std::int64_t macs_if_known(const Graph& graph, const Node& node) {
  const auto is_known = [&](ValueId v) {
    if (v == kNone) return true;
    const auto& shape = graph.value(v).shape;
    return shape && std::none_of(shape->begin(), shape->end(), [](auto e) { return e < 0; });
  };
  return ops::find_op(node.op) != nullptr &&
                 std::all_of(node.inputs.begin(), node.inputs.end(), is_known) &&
                 std::all_of(node.outputs.begin(), node.outputs.end(), is_known)
             ? ops::macs_of(graph, node)
             : 0;
}

std::string count_or_blank(std::int64_t count) { return count == 0 ? "" : with_separators(count); }

Json network_json_of(const std::vector<Network::Port>& ports) {
  Json list = Json::array();
  for (const auto& port : ports)
    list.push_back(
        {{"name", port.name}, {"dtype", to_string(port.dtype)}, {"shape", shape_json(port.shape)}});
  return list;
}

std::string line_of(std::string_view title, const std::vector<Network::Port>& ports) {
  std::string text;
  for (const auto& port : ports)
    text += fmt::format("{:<8}{}  {} {}\n", title, shortened(port.name, width_behind(40)),
                        to_string(port.dtype), shape_text(port.shape));
  return text;
}

}  // namespace

Network describe(const Graph& graph) {
  Network network;
  network.opset = graph.opset;
  for (ValueId v : graph.inputs()) network.inputs.push_back(port_of(graph.value(v)));
  for (ValueId v : graph.outputs()) network.outputs.push_back(port_of(graph.value(v)));
  std::set<ValueId> counted;
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    NetworkNode entry{node.name, node.op, {}, {}, 0, macs_if_known(graph, node)};
    std::set<ValueId> seen;
    for (ValueId v : node.inputs) {
      if (v == kNone) continue;
      const Value& value = graph.value(v);
      if (!value.is_constant()) {
        entry.inputs.push_back(value.shape);
      } else if (is_float(value.dtype) && seen.insert(v).second) {
        entry.parameters += value.constant.size();
        if (counted.insert(v).second) network.parameters += value.constant.size();
      }
    }
    for (ValueId v : node.outputs)
      if (v != kNone) entry.outputs.push_back(graph.value(v).shape);
    network.macs += entry.macs;
    network.nodes.push_back(std::move(entry));
  }
  return network;
}

std::string to_text(const Network& network) {
  using enum Table::Align;
  Table table({{"node", Left},
               {"type", Left},
               {"input", Left},
               {"output", Left},
               {"parameters", Right},
               {"MACs", Right}});
  for (const auto& node : network.nodes)
    table.add_row({node.name, node.op, join(node.inputs), join(node.outputs),
                   count_or_blank(node.parameters), count_or_blank(node.macs)});
  table.add_rule();
  table.add_row({fmt::format("{} nodes", network.nodes.size()), "", "", "",
                 with_separators(network.parameters), with_separators(network.macs)});
  return fmt::format("{:<8}{}\n", "opset", network.opset) + line_of("input", network.inputs) +
         line_of("output", network.outputs) + '\n' + table.to_string();
}

std::string to_json(const Network& network) {
  Json json;
  json["format"] = "onnx";
  json["opset"] = network.opset;
  json["inputs"] = network_json_of(network.inputs);
  json["outputs"] = network_json_of(network.outputs);
  json["nodes"] = Json::array();
  for (const auto& node : network.nodes)
    json["nodes"].push_back({{"name", node.name},
                             {"type", node.op},
                             {"inputs", shapes_json(node.inputs)},
                             {"outputs", shapes_json(node.outputs)},
                             {"parameters", node.parameters},
                             {"macs", node.macs}});
  json["parameters"] = network.parameters;
  json["macs"] = network.macs;
  return report::json_text(json);
}

}  // namespace espquant::report
