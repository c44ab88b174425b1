#include "recipe/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "passes/pass_manager.h"
#include "recipe/embedded_recipes.h"
#include "recipe/name_pattern.h"
#include "recipe/recipe_keys.h"
#include "target/target.h"

namespace espquant::recipe {
namespace {

constexpr std::uint64_t kMaxRecipeBytes = 1 << 20;

Error impossible(std::string_view path, std::string_view reason) {
  return Error(ErrorCode::Usage, fmt::format("{}: {}", path, reason));
}

template <typename T>
void check_member(std::string_view path, const T& value, Range range) {
  check_number(path, static_cast<double>(value), range);
}
template <typename T>
void check_member(std::string_view path, const std::optional<T>& value, Range range) {
  if (value) check_member(path, *value, range);
}
template <typename T>
void check_member(std::string_view, const T&) {}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// The name becomes part of paths.
void check_name(const std::string& name) {
  if (name.starts_with('.') || !std::all_of(name.begin(), name.end(), is_name_character))
    throw impossible("name", fmt::format("'{}' cannot be part of the name of a file", name))
        .remedy("Use letters, digits, '-' and '_'");
}

/// Runs a check of another room; its error names the key.
template <typename Check>
void check_as(std::string_view path, Check&& check) try {
  check();
} catch (const Error& error) {
  throw impossible(path, error.message()).remedy(error.remedy());
}

void check_mixed(const Recipe& recipe) {
  const Recipe::Mixed& mixed = recipe.mixed;
  const bool bounded = mixed.max_16bit || mixed.budget_kb || mixed.budget_ms ||
                       mixed.accuracy_within || mixed.noise_target;
  if (bounded && !mixed.layers.empty())
    throw impossible("mixed.layers", "a list of layers leaves nothing to choose within a budget")
        .remedy("Give the list, or limits and goals");
  if (!mixed.enabled) return;
  if (!bounded && mixed.layers.empty())
    throw impossible("mixed.enabled", "nothing says how many layers may take 16 bits")
        .remedy(
            "Give one of mixed.max_16bit, budget_kb, budget_ms, accuracy_within, noise_target or "
            "layers");
  if (recipe.quantization.bits == 16)
    throw impossible("mixed.enabled", "with quantization.bits = 16, all layers have 16 bits")
        .remedy("Set quantization.bits = 8, or mixed.enabled = false");
}

void check_layer_rule(const Recipe& recipe, std::size_t index) {
  const Recipe::LayerRule& rule = recipe.layers[index];
  const std::string path = fmt::format("layer[{}]", index);
  if (rule.match.empty())
    throw impossible(path, "it has no 'match'").remedy("Give a layer's name, or a pattern with *");
  const std::string named = fmt::format("{} ('{}')", path, rule.match);
  if (!rule.bits && !rule.weight_bits && !rule.method && !rule.percentile)
    throw impossible(named, "it says nothing")
        .remedy("Give bits, weight_bits, method or percentile");
  visit_layer_keys(rule, [&](std::string_view key, const auto& member, auto... range) {
    check_member(fmt::format("{}.{}", named, key), member, range...);
  });
  if (rule.bits == 8 && rule.weight_bits == 16)
    throw impossible(named + ".weight_bits", "weights have no more bits than what they multiply")
        .remedy("Set bits = 16, too, or leave weight_bits out");
  if (rule.percentile &&
      rule.method.value_or(recipe.calibration.method) != quant::Method::Percentile)
    throw impossible(named + ".percentile", "only the method 'percentile' takes it")
        .remedy("Add method = \"percentile\"");
}

void check_percentile(const Recipe& recipe) {
  if (recipe.calibration.percentile != Recipe{}.calibration.percentile &&
      !goes_by_percentile(recipe))
    throw impossible("calibration.percentile", "it has no effect: no layer goes by percentile")
        .remedy("Set calibration.method to percentile, or leave the share out");
}

/// A pattern like `pattern` that matches one of `names`, its beginning up to some '/' corrected.
std::string nearest_pattern(std::string_view pattern, std::span<const std::string> names) {
  const std::size_t wildcard = pattern.find_first_of("*?");
  if (wildcard == std::string_view::npos) return nearest_name(pattern, names);
  std::vector<std::string> folders;
  for (const std::string& name : names)
    for (std::size_t at = name.find('/', 1); at != std::string::npos; at = name.find('/', at + 1))
      folders.push_back(name.substr(0, at + 1));
  const std::string corrected =
      nearest_name(pattern.substr(0, wildcard), folders) + std::string(pattern.substr(wildcard));
  const bool useful = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return matches(corrected, name);
  });
  return useful && corrected != pattern.substr(wildcard) ? corrected : "";
}

void check_pattern(std::string_view path, const std::string& pattern,
                   std::span<const std::string> names) {
  if (any_matches({&pattern, 1}, names)) return;
  const std::string nearest = nearest_pattern(pattern, names);
  throw impossible(path, fmt::format("the network has no layer '{}'", pattern))
      .remedy(nearest.empty() ? "`espquant inspect MODEL --simplified` lists its layers"
                              : fmt::format("Did you mean '{}'?", nearest));
}

const EmbeddedText* find_embedded(std::string_view name) {
  const auto texts = embedded_recipes();
  const auto found = std::find_if(texts.begin(), texts.end(),
                                  [&](const EmbeddedText& text) { return text.name == name; });
  return found == texts.end() ? nullptr : &*found;
}

// "mixd" is a slip of the pen, "mine/mixd" and "mixd.toml" are files.
bool looks_like_file(const std::filesystem::path& path) {
  return path.has_parent_path() || path.has_extension();
}

}  // namespace

bool goes_by_percentile(const Recipe& recipe) {
  const auto does = [](const auto& of) { return of.method == quant::Method::Percentile; };
  return does(recipe.calibration) || std::ranges::any_of(recipe.layers, does);
}

void check_recipe(const Recipe& recipe) {
  visit_keys(recipe, [](std::string_view path, const auto& member, auto... range) {
    check_member(path, member, range...);
  });
  check_name(recipe.name);
  if (!recipe.target.empty()) check_as("target", [&] { find_target(recipe.target); });
  if (!recipe.espdl.empty()) check_as("espdl", [&] { find_release(recipe.espdl); });
  check_as("quantization.disabled_passes",
           [&] { passes::check_options({recipe.quantization.disabled_passes}); });
  check_mixed(recipe);
  check_percentile(recipe);
  for (std::size_t i = 0; i < recipe.layers.size(); ++i) check_layer_rule(recipe, i);
}

std::string find_recipe_text(std::string_view name_or_path) {
  if (const EmbeddedText* embedded = find_embedded(name_or_path))
    return std::string(embedded->text);
  const std::filesystem::path path(name_or_path);
  std::error_code ignored;
  if (!looks_like_file(path) && !std::filesystem::exists(path, ignored)) {
    std::vector<std::string> names;
    for (const EmbeddedText& text : embedded_recipes()) names.emplace_back(text.name);
    const std::string nearest = nearest_name(name_or_path, names);
    throw Error(ErrorCode::Usage, fmt::format("there is no recipe '{}'", name_or_path))
        .remedy(nearest.empty()
                    ? fmt::format("Known: {}, or the path of a file", fmt::join(names, ", "))
                    : fmt::format("Did you mean '{}'?", nearest));
  }
  const auto bytes = read_file(path, kMaxRecipeBytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Recipe find_recipe(std::string_view name_or_path) {
  Recipe recipe = parse_recipe(find_recipe_text(name_or_path), name_or_path);
  if (recipe.name.empty()) {
    recipe.name = std::filesystem::path(name_or_path).stem().string();
    std::replace_if(
        recipe.name.begin(), recipe.name.end(), [](char c) { return !is_name_character(c); }, '_');
    if (recipe.name.starts_with('.')) recipe.name.front() = '_';
  }
  return recipe;
}

void check_layer_patterns(const Recipe& recipe, std::span<const std::string> names) {
  for (const std::string& pattern : recipe.mixed.layers)
    check_pattern("mixed.layers", pattern, names);
  for (std::size_t i = 0; i < recipe.layers.size(); ++i)
    check_pattern(fmt::format("layer[{}].match", i), recipe.layers[i].match, names);
}

Recipe::LayerRule layer_rule_for(const Recipe& recipe, std::span<const std::string> names) {
  Recipe::LayerRule merged;
  for (const Recipe::LayerRule& rule : recipe.layers) {
    if (!any_matches({&rule.match, 1}, names)) continue;
    if (rule.bits) merged.bits = rule.bits;
    if (rule.weight_bits) merged.weight_bits = rule.weight_bits;
    if (rule.method) merged.method = rule.method;
    if (rule.percentile) merged.percentile = rule.percentile;
  }
  return merged;
}

bool any_matches(std::span<const std::string> patterns, std::span<const std::string> names) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return matches(pattern, name); });
  });
}

}  // namespace espquant::recipe
