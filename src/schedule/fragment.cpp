#include "schedule/fragment.h"

#include <fmt/format.h>

#include <unordered_set>

namespace espquant::schedule {

Names::Names(const espdl::Model& model) {
  for (const auto& node : model.nodes) {
    taken_.insert(node.name);
    taken_.insert(node.outputs.begin(), node.outputs.end());
  }
  taken_.insert(model.inputs.begin(), model.inputs.end());
  for (const auto& constant : model.initializers) taken_.insert(constant.name);
  for (const auto& value : model.values) taken_.insert(value.name);
}

std::string Names::unique(const std::string& base) {
  std::string name = base;
  for (int n = 1; !taken_.insert(name).second; ++n) name = fmt::format("{}_{}", base, n);
  return name;
}

double milliseconds_of(const Fragment& fragment, const espdl::ModelIndex& index,
                       const Conditions& conditions) {
  espdl::Model alone;
  alone.nodes = fragment.nodes;
  alone.values = fragment.values;
  alone.initializers = fragment.constants;
  std::unordered_set<std::string_view> known;
  for (const auto& value : fragment.values) known.insert(value.name);
  for (const auto& constant : fragment.constants) known.insert(constant.name);
  const auto add = [&](const std::string& name) {
    if (!known.insert(name).second) return;
    if (const auto* value = index.value(name)) alone.values.push_back(*value);
    if (const auto* constant = index.initializer(name)) alone.initializers.push_back(*constant);
  };
  for (const auto& node : fragment.nodes) {
    for (const auto& name : node.inputs) add(name);
    for (const auto& name : node.outputs) add(name);
  }
  cost::LatencyOptions options = conditions.latency;
  options.parameters_in_flash = !conditions.planner.copy_parameters;
  return cost::estimate_latency(alone, conditions.target, options).milliseconds;
}

double milliseconds_of(const espdl::Node& node, const espdl::ModelIndex& index,
                       const Conditions& conditions) {
  return milliseconds_of(Fragment{{node}, {}, {}}, index, conditions);
}

void replace_nodes(espdl::Model& model, Replacements replacements) {
  if (replacements.empty()) return;
  std::vector<espdl::Node> nodes;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    const auto at = replacements.find(n);
    if (at == replacements.end()) {
      nodes.push_back(std::move(model.nodes[n]));
      continue;
    }
    Fragment& fragment = at->second;
    std::move(fragment.nodes.begin(), fragment.nodes.end(), std::back_inserter(nodes));
    std::move(fragment.values.begin(), fragment.values.end(), std::back_inserter(model.values));
    std::move(fragment.constants.begin(), fragment.constants.end(),
              std::back_inserter(model.initializers));
  }
  model.nodes = std::move(nodes);
  remove_unused(model);
}

void remove_unused(espdl::Model& model) {
  std::unordered_set<std::string_view> named(model.inputs.begin(), model.inputs.end());
  named.insert(model.outputs.begin(), model.outputs.end());
  for (const auto& node : model.nodes) {
    named.insert(node.inputs.begin(), node.inputs.end());
    named.insert(node.outputs.begin(), node.outputs.end());
    // Tables are named by an attribute.
    for (const auto& [key, value] : node.attributes)
      if (const auto* text = std::get_if<std::string>(&value)) named.insert(*text);
  }
  for (const auto& test : model.test_outputs) named.insert(test.name);
  std::erase_if(model.initializers, [&](const auto& c) { return !named.contains(c.name); });
  std::erase_if(model.values, [&](const auto& v) { return !named.contains(v.name); });
}

Visible::Visible(const espdl::Model& model) {
  names_.insert(model.inputs.begin(), model.inputs.end());
  names_.insert(model.outputs.begin(), model.outputs.end());
  for (const auto& test : model.test_outputs) names_.insert(test.name);
}

SoleMakers::SoleMakers(const espdl::Model& model) {
  const Visible visible(model);
  std::unordered_map<std::string_view, int> readers;
  for (const auto& node : model.nodes)
    for (const auto& name : node.inputs) ++readers[name];
  for (std::size_t n = 0; n < model.nodes.size(); ++n)
    for (const auto& name : model.nodes[n].outputs)
      if (const auto read = readers.find(name);
          read != readers.end() && read->second == 1 && !visible.contains(name))
        makers_.emplace(name, n);
}

std::optional<std::size_t> SoleMakers::maker_of(std::string_view tensor) const {
  const auto at = makers_.find(tensor);
  return at == makers_.end() ? std::nullopt : std::optional(at->second);
}

espdl::Node concat_node(std::string name, std::vector<std::string> parts,
                        const espdl::ValueInfo& output, std::int64_t axis) {
  espdl::Node node;
  node.name = std::move(name);
  node.op = "Concat";
  node.inputs = std::move(parts);
  node.outputs = {output.name};
  node.attributes["axis"] = axis;
  node.attributes["quant_type"] = std::string(espdl::quant_type_of(output.dtype));
  return node;
}

espdl::Constant list_constant(std::string name, const std::vector<std::int64_t>& numbers) {
  return {std::move(name),
          Tensor::of<std::int64_t>({static_cast<std::int64_t>(numbers.size())}, std::span(numbers)),
          {0},
          ""};
}

}  // namespace espquant::schedule
