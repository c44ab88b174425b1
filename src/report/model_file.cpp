#include "report/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "espdl/index.h"
#include "espdl/statistics.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::report {

nlohmann::ordered_json totals_of(const cost::MemoryPlan& plan) {
  return {{"psram", plan.psram_bytes},
          {"internal", plan.internal_bytes},
          {"parameters", plan.parameter_bytes},
          {"parameter_copies", plan.parameter_copy_bytes},
          {"scratch_kept", plan.kept_scratch_bytes()},
          {"scratch_per_run", plan.largest_scratch_bytes()},
          {"ram", plan.ram_bytes()}};
}

namespace {

using Json = nlohmann::ordered_json;

/// "-7", or "-9..-6" where channels differ.
std::string exponent_text(const std::vector<int>& exponents) {
  if (exponents.empty()) return "0";
  const auto [low, high] = std::minmax_element(exponents.begin(), exponents.end());
  return *low == *high ? fmt::format("{}", *low) : fmt::format("{}..{}", *low, *high);
}

/// Type, shape and exponents of a tensor of either kind.
struct Facts {
  DType dtype = DType::Undefined;
  Shape shape;
  std::vector<int> exponents;
};

Facts facts_of(const espdl::ModelIndex& index, const std::string& tensor) {
  if (const auto* constant = index.initializer(tensor))
    return {constant->data.dtype(), constant->data.shape(), constant->exponents};
  if (const auto* value = index.value(tensor))
    return {value->dtype, value->shape, value->exponents};
  return {};
}

std::string exponents_of(const espdl::ModelIndex& index, const std::vector<std::string>& tensors) {
  std::string text;
  for (const auto& tensor : tensors) {
    if (tensor.empty()) continue;
    if (!text.empty()) text += ',';
    text += exponent_text(facts_of(index, tensor).exponents);
  }
  return text;
}

std::string brief(const espdl::AttributeValue& value) {
  struct Brief {
    std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(float v) const { return fmt::format("{:g}", v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const espdl::Constant& v) const { return to_string(v.data.shape()); }
    std::string operator()(const std::vector<std::int64_t>& v) const {
      return fmt::format("{}", fmt::join(v, ","));
    }
    std::string operator()(const std::vector<float>& v) const {
      return fmt::format("{:g}", fmt::join(v, ","));
    }
    std::string operator()(const std::vector<std::string>& v) const {
      return fmt::format("{}", fmt::join(v, ","));
    }
  };
  return std::visit(Brief{}, value);
}

std::string attributes_of(const espdl::Node& node) {
  std::string text;
  for (const auto& [name, value] : node.attributes)
    if (name != "quant_type")  // the elements' type says the same
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, brief(value));
  return text;
}

/// A recipe has many, in which nothing else could be found.
std::string first_line(const std::string& text) {
  const auto end = text.find('\n');
  const auto lines = std::count(text.begin(), text.end(), '\n');
  if (end == std::string::npos || end + 1 == text.size()) return text.substr(0, end);
  return fmt::format("{} ... ({} lines; --json has them all)", text.substr(0, end), lines);
}

std::string port_lines(std::string_view title, const espdl::ModelIndex& index,
                       const std::vector<std::string>& tensors) {
  std::string text;
  for (const auto& tensor : tensors) {
    const Facts facts = facts_of(index, tensor);
    text +=
        fmt::format("{:<11}{}  {} {}  exponent {}\n", title, shortened(tensor, width_behind(50)),
                    to_string(facts.dtype), to_string(facts.shape), exponent_text(facts.exponents));
  }
  return text;
}

Json file_json_of(const espdl::ModelIndex& index, const std::vector<std::string>& tensors) {
  Json list = Json::array();
  for (const auto& tensor : tensors) {
    if (tensor.empty()) continue;
    const Facts facts = facts_of(index, tensor);
    list.push_back({{"name", tensor},
                    {"dtype", to_string(facts.dtype)},
                    {"shape", facts.shape},
                    {"exponents", facts.exponents}});
  }
  return list;
}

std::string node_table(const espdl::Model& model, const espdl::ModelIndex& index) {
  using enum Table::Align;
  Table table({{"node", Left},
               {"type", Left},
               {"output", Left},
               {"elements", Left},
               {"exponents", Left},
               {"attributes", Left}});
  for (const auto& node : model.nodes) {
    const Facts out = node.outputs.empty() ? Facts{} : facts_of(index, node.outputs.front());
    const auto type = node.attributes.find("quant_type");
    const bool narrow = type != node.attributes.end() && brief(type->second) == espdl::kW8A16;
    table.add_row({node.name, node.op, to_string(out.shape),
                   fmt::format("{}{}", to_string(out.dtype), narrow ? ", w int8" : ""),
                   fmt::format("{} => {}", exponents_of(index, node.inputs),
                               exponents_of(index, node.outputs)),
                   attributes_of(node)});
  }
  return table.to_string();
}

std::vector<std::pair<std::string, std::size_t>> size_rows(const espdl::SizeByKind& size) {
  return {{"filters", size.filters},         {"biases", size.biases},
          {"tables", size.tables},           {"parameters", size.parameters},
          {"test values", size.test_values}, {"structure", size.structure}};
}

std::string size_table(const espdl::SizeByKind& size) {
  Table table({{"kind"}, {"bytes", Table::Align::Right}, {"", Table::Align::Right}});
  const auto add = [&](const std::string& kind, std::size_t bytes) {
    table.add_row({kind, with_separators(static_cast<std::int64_t>(bytes)), human_bytes(bytes)});
  };
  for (const auto& [kind, bytes] : size_rows(size)) add(kind, bytes);
  table.add_rule();
  add("total", size.total());
  return table.to_string();
}

void add_cost(Json& json, const Cost& cost) {
  json["memory"] = totals_of(cost.memory);
  const auto& latency = cost.latency;
  json["latency"] = {{"milliseconds", latency.milliseconds},
                     {"least", latency.milliseconds * (1 - latency.below)},
                     {"most", latency.milliseconds * (1 + latency.above)},
                     {"clock_mhz", latency.clock_mhz},
                     {"cores", latency.cores},
                     {"basis", latency.basis}};
  for (std::size_t n = 0; n < latency.nodes.size(); ++n) {
    json["nodes"][n]["milliseconds"] = latency.nodes[n].milliseconds;
    json["nodes"][n]["macs"] = latency.nodes[n].macs;
  }
}

}  // namespace

std::string to_text(const espdl::Model& model, const FileFacts& facts) {
  const espdl::ModelIndex index(model);
  std::string text;
  const auto line = [&](std::string_view title, std::string_view content) {
    if (!content.empty())
      text += fmt::format("{:<11}{}\n", title, shortened(content, width_behind(11)));
  };
  line("file", facts.path);
  line("container", facts.container);
  line("model", model.name);
  if (!model.producer.empty())
    line("producer",
         fmt::format("{}{}{}", model.producer, model.producer_version.empty() ? "" : " ",
                     model.producer_version));
  line("target", facts.target);
  for (const auto& [key, value] : model.metadata)
    line("metadata", fmt::format("{}={}", key, first_line(value)));
  text += port_lines("input", index, model.inputs);
  text += port_lines("output", index, model.outputs);
  return text + '\n' + node_table(model, index) + '\n' +
         size_table(espdl::size_by_kind(model, facts.size));
}

nlohmann::ordered_json json_of(const espdl::Model& model, const FileFacts& facts,
                               const Cost* cost) {
  const espdl::ModelIndex index(model);
  Json json;
  json["format"] = "espdl";
  json["file"] = facts.path;
  json["container"] = facts.container;
  json["name"] = model.name;
  json["producer"] = model.producer;
  json["producer_version"] = model.producer_version;
  json["target"] = facts.target;
  json["metadata"] = Json::object();
  for (const auto& [key, value] : model.metadata) json["metadata"][key] = value;
  json["inputs"] = file_json_of(index, model.inputs);
  json["outputs"] = file_json_of(index, model.outputs);
  json["nodes"] = Json::array();
  for (const auto& node : model.nodes) {
    Json attributes = Json::object();
    for (const auto& [name, value] : node.attributes) attributes[name] = brief(value);
    json["nodes"].push_back({{"name", node.name},
                             {"type", node.op},
                             {"inputs", file_json_of(index, node.inputs)},
                             {"outputs", file_json_of(index, node.outputs)},
                             {"attributes", std::move(attributes)}});
  }
  const auto size = espdl::size_by_kind(model, facts.size);
  for (const auto& [kind, bytes] : size_rows(size)) json["bytes"][kind] = bytes;
  json["bytes"]["total"] = size.total();
  if (cost != nullptr) add_cost(json, *cost);
  return json;
}

std::string to_json(const espdl::Model& model, const FileFacts& facts, const Cost* cost) {
  return report::json_text(json_of(model, facts, cost));
}

}  // namespace espquant::report
