#include "base/toml_text.h"
#include "recipe/recipe_values.h"

namespace espquant::recipe {
namespace {

constexpr std::string_view kLayerPrefix = "layer.";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// A table that holds this one value; nothing where `text` is no value of TOML.
std::optional<toml::table> parse_value(std::string_view text) try {
  const toml::table parsed = parse_toml(fmt::format("value = {}", text));
  if (parsed.size() != 1) return std::nullopt;
  return toml::table(parsed);  // a copy has no line numbers
} catch (const Error&) {
  return std::nullopt;
}

toml::table parse_bare(std::string_view path, std::string_view text) {
  auto table = parse_value(quoted_text(text));
  if (!table) throw Error(ErrorCode::Usage, fmt::format("{}: the text is not UTF-8", path));
  return *table;
}

template <typename T, typename... Ranges>
void assign(std::string_view path, std::string_view text, T& member, Ranges... range) {
  auto table = parse_value(text);
  if (!table) table = parse_bare(path, text);
  read(path, *table->get("value"), member, range...);
}

void assign(std::string_view path, std::string_view text, std::string& member) {
  auto table = parse_value(text);
  if (!table || !table->get("value")->is_string()) table = parse_bare(path, text);
  read(path, *table->get("value"), member);
}

void assign(std::string_view path, std::string_view text, std::vector<std::string>& member) {
  if (const auto table = parse_value(text); table && table->get("value")->is_array())
    return read(path, *table->get("value"), member);
  member.clear();
  while (!trimmed(text).empty()) {
    const std::size_t comma = text.find(',');
    assign(path, trimmed(text.substr(0, comma)), member.emplace_back());
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
}

template <typename T, typename... Ranges>
void assign(std::string_view path, std::string_view text, std::optional<T>& member,
            Ranges... range) {
  member.reset();
  if (!text.empty()) assign(path, text, member.emplace(), range...);
}

Recipe::LayerRule& rule_of(Recipe& recipe, std::string_view pattern) {
  if (recipe.layers.empty() || recipe.layers.back().match != pattern)
    recipe.layers.emplace_back().match = pattern;
  return recipe.layers.back();
}

void assign_layer_key(Recipe& recipe, std::string_view path, std::string_view text) {
  const std::string_view key = key_of(path);
  const std::vector<std::string> keys = layer_keys();
  const std::size_t around = kLayerPrefix.size() + 1 + key.size();
  if (path.size() <= around)
    throw Error(ErrorCode::Usage, fmt::format("'{}' names no layer", path))
        .remedy("Write layer.NAME.bits=16");
  const std::string_view pattern = path.substr(kLayerPrefix.size(), path.size() - around);
  bool known = false;
  visit_layer_keys(rule_of(recipe, pattern),
                   [&](std::string_view name, auto& member, auto... range) {
                     if (name != key || key == "match") return;
                     known = true;
                     assign(path, text, member, range...);
                   });
  if (!known) throw unknown_key("", path, nearest_name(key, keys), keys);
}

void assign_key(Recipe& recipe, std::string_view path, std::string_view text) {
  bool known = false;
  visit_keys(recipe, [&](std::string_view name, auto& member, auto... range) {
    if (name != path) return;
    known = true;
    assign(path, text, member, range...);
  });
  if (!known) throw unknown_key("", path, nearest_key(path), recipe_keys());
}

/// Returns the path that was set.
std::string_view apply_one(Recipe& recipe, std::string_view assignment) {
  const bool of_layer = assignment.starts_with(kLayerPrefix);
  const std::size_t equals = of_layer ? assignment.rfind('=') : assignment.find('=');
  if (equals == std::string_view::npos)
    throw Error(ErrorCode::Usage, fmt::format("'{}' is not of the form key=value", assignment));
  const std::string_view path = trimmed(assignment.substr(0, equals));
  const std::string_view text = trimmed(assignment.substr(equals + 1));
  if (of_layer)
    assign_layer_key(recipe, path, text);
  else
    assign_key(recipe, path, text);
  return path;
}

void refuse_without_effect(const Recipe& recipe, std::string_view path) {
  const std::string_view section = section_of(path);
  const bool off = (section == "mixed" && !recipe.mixed.enabled) ||
                   (section == "equalization" && !recipe.equalization.enabled) ||
                   (section == "finetune" && !recipe.finetune.enabled) ||
                   (section == "dynamic" && !recipe.dynamic.enabled);
  if (off && key_of(path) != "enabled")
    throw Error(ErrorCode::Usage,
                fmt::format("{} has no effect: {}.enabled is false", path, section))
        .remedy(fmt::format("Set {}.enabled=true, too", section));
}

}  // namespace

void apply_overrides(Recipe& recipe, std::span<const std::string> assignments) {
  Recipe changed = recipe;
  std::vector<std::string_view> paths;
  for (const std::string& assignment : assignments) paths.push_back(apply_one(changed, assignment));
  for (std::string_view path : paths) refuse_without_effect(changed, path);
  // A share that the recipe named for a method which another took the place of says nothing any
  // more.
  if (std::ranges::find(paths, "calibration.percentile") == paths.end() &&
      !goes_by_percentile(changed))
    changed.calibration.percentile = Recipe{}.calibration.percentile;
  check_recipe(changed);
  recipe = std::move(changed);
}

}  // namespace espquant::recipe
