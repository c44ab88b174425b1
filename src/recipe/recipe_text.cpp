#include <algorithm>

#include "base/toml_text.h"
#include "recipe/recipe_values.h"

namespace espquant::recipe {
namespace {

constexpr std::string_view kLayer = "layer";

std::vector<std::string> sections() {
  std::vector<std::string> names;
  for (const std::string& key : recipe_keys()) {
    const std::string_view section = section_of(key);
    if (!section.empty() && (names.empty() || names.back() != section)) names.emplace_back(section);
  }
  return names;
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void refuse_unknown(const toml::table& table, std::string_view prefix,
                    std::span<const std::string> known) {
  for (const auto& [key, node] : table)
    if (!contains(known, key.str())) {
      const std::string nearest = nearest_name(key.str(), known);
      throw unknown_key(line_of(node), fmt::format("{}.{}", prefix, key.str()),
                        nearest.empty() ? "" : fmt::format("{}.{}", prefix, nearest), known);
    }
}

void refuse_unknown(const toml::table& root) {
  const std::vector<std::string> keys = recipe_keys();
  std::vector<std::string> top = sections();
  top.emplace_back(kLayer);
  for (const auto& [name, node] : root) {
    if (name.str() == kLayer || (contains(keys, name.str()) && section_of(name.str()).empty()))
      continue;
    if (!contains(top, name.str())) {
      std::string nearest = nearest_name(name.str(), top);
      if (nearest.empty()) nearest = nearest_key(name.str());
      throw unknown_key(line_of(node), name.str(), nearest, top);
    }
    const toml::table* section = node.as_table();
    if (section == nullptr)
      throw wrong_type(name.str(), node, fmt::format("a table: [{}]", name.str()));
    for (const auto& [key, value] : *section) {
      const std::string path = fmt::format("{}.{}", name.str(), key.str());
      if (!contains(keys, path)) throw unknown_key(line_of(value), path, nearest_key(path), keys);
    }
  }
}

Recipe::LayerRule read_rule(const toml::node& node, std::size_t index) {
  const std::string path = fmt::format("layer[{}]", index);
  const toml::table* table = node.as_table();
  if (table == nullptr) throw wrong_type(path, node, "a table: [[layer]]");
  refuse_unknown(*table, path, layer_keys());
  Recipe::LayerRule rule;
  visit_layer_keys(rule, [&](std::string_view key, auto& member, auto... range) {
    if (const toml::node* value = table->get(key))
      read(fmt::format("{}.{}", path, key), *value, member, range...);
  });
  return rule;
}

/// A section that can be switched off says whether it is on, lest its keys do nothing unnoticed.
void demand_enabled(const toml::table& root, std::span<const std::string> keys) {
  for (const auto& [name, node] : root) {
    const toml::table* section = node.as_table();
    const std::string path = fmt::format("{}.enabled", name.str());
    if (section == nullptr || !contains(keys, path) || section->contains("enabled")) continue;
    throw Error(ErrorCode::Usage, fmt::format("{}{} is missing", line_of(node), path))
        .remedy("Say whether the section is on: enabled = true, or false");
  }
}

Recipe read_recipe(const toml::table& root) {
  refuse_unknown(root);
  demand_enabled(root, recipe_keys());
  Recipe recipe;
  visit_keys(recipe, [&](std::string_view path, auto& member, auto... range) {
    const std::string_view section = section_of(path);
    const toml::table* table = section.empty() ? &root : root[section].as_table();
    const toml::node* node = table == nullptr ? nullptr : table->get(key_of(path));
    if (node != nullptr) read(path, *node, member, range...);
  });
  if (const toml::node* node = root.get(kLayer)) {
    const toml::array* rules = node->as_array();
    if (rules == nullptr) throw wrong_type(kLayer, *node, "a list of tables: [[layer]]");
    for (const toml::node& rule : *rules)
      recipe.layers.push_back(read_rule(rule, recipe.layers.size()));
  }
  return recipe;
}

}  // namespace

Recipe parse_recipe(std::string_view toml, std::string_view where) try {
  Recipe recipe = read_recipe(parse_toml(toml));
  check_recipe(recipe);
  return recipe;
} catch (Error& error) {
  throw error.file(where);
}

}  // namespace espquant::recipe
