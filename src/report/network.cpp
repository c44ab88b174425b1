#include "report/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "ops/op.h"
#include "report/table.h"

namespace espquant::report {
namespace {

using Json = nlohmann::ordered_json;

Network::Port port_of(const Value& value) {
  return {value.name, value.dtype, value.shape.value_or(Shape{})};
}

std::string join(const std::vector<Shape>& shapes) {
  std::string text;
  for (const Shape& shape : shapes) text += (text.empty() ? "" : ", ") + to_string(shape);
  return text;
}

std::string count_or_blank(std::int64_t count) { return count == 0 ? "" : with_separators(count); }

Json network_json_of(const std::vector<Network::Port>& ports) {
  Json list = Json::array();
  for (const auto& port : ports)
    list.push_back({{"name", port.name}, {"dtype", to_string(port.dtype)}, {"shape", port.shape}});
  return list;
}

std::string line_of(std::string_view title, const std::vector<Network::Port>& ports) {
  std::string text;
  for (const auto& port : ports)
    text += fmt::format("{:<8}{}  {} {}\n", title, shortened(port.name, width_behind(40)),
                        to_string(port.dtype), to_string(port.shape));
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
    NetworkNode entry{node.name, node.op, {}, {}, 0, ops::macs_of(graph, node)};
    std::set<ValueId> seen;
    for (ValueId v : node.inputs) {
      if (v == kNone) continue;
      const Value& value = graph.value(v);
      if (!value.is_constant()) {
        entry.inputs.push_back(value.shape.value_or(Shape{}));
      } else if (is_float(value.dtype) && seen.insert(v).second) {
        entry.parameters += value.constant.size();
        if (counted.insert(v).second) network.parameters += value.constant.size();
      }
    }
    for (ValueId v : node.outputs)
      if (v != kNone) entry.outputs.push_back(graph.value(v).shape.value_or(Shape{}));
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
                             {"inputs", node.inputs},
                             {"outputs", node.outputs},
                             {"parameters", node.parameters},
                             {"macs", node.macs}});
  json["parameters"] = network.parameters;
  json["macs"] = network.macs;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espquant::report
