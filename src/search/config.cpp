#include "search/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "recipe/name_pattern.h"

namespace espquant::search {

using strategy::LayerWidth;

Config Field::start() const {
  return {std::vector<std::size_t>(space.choices.size(), 0),
          std::vector<LayerWidth>(layers.size(), LayerWidth::Narrow)};
}

bool Field::may_have(std::size_t layer, LayerWidth width) const {
  if (width == LayerWidth::Narrow) return true;
  if (width == LayerWidth::Wide) return space.wide;
  return space.w8a16 && !layers[layer].narrow_weights.empty();
}

bool Field::makes_sense(const Config& config) const {
  const auto any = [&](LayerWidth width) {
    return std::find(config.widths.begin(), config.widths.end(), width) != config.widths.end();
  };
  for (std::size_t c = 0; c < space.choices.size(); ++c) {
    switch (space.choices[c].values[config.values[c]].need) {
      case Need::Nothing:
        break;
      case Need::Caps:
        if (!has_caps) return false;
        break;
      case Need::W8A16:
        if (!any(LayerWidth::NarrowWeights)) return false;
        break;
      case Need::Wide:
        if (!any(LayerWidth::NarrowWeights) && !any(LayerWidth::Wide)) return false;
        break;
    }
  }
  for (std::size_t l = 0; l < layers.size(); ++l)
    if (!may_have(l, config.widths[l])) return false;
  return true;
}

recipe::Recipe Field::recipe_of(const Config& config) const {
  if (config == start()) return plain;
  recipe::Recipe recipe = plain;
  recipe.description.clear();
  std::vector<std::string> sets;
  for (std::size_t c = 0; c < space.choices.size(); ++c) {
    const Value& value = space.choices[c].values[config.values[c]];
    sets.insert(sets.end(), value.sets.begin(), value.sets.end());
  }
  recipe::apply_overrides(recipe, sets);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (config.widths[l] == LayerWidth::Narrow) continue;
    recipe.mixed.enabled = true;
    recipe.mixed.layers.push_back(recipe::pattern_of(layers[l].name));
    if (config.widths[l] == LayerWidth::Wide) continue;
    for (const std::string& name : layers[l].narrow_weights) {
      recipe::Recipe::LayerRule& rule = recipe.layers.emplace_back();
      rule.match = recipe::pattern_of(name);
      rule.weight_bits = 8;
    }
  }
  const Work nameless{Work::Kind::Look, recipe, ""};
  constexpr std::size_t kDigits = 8;
  recipe.name = "tune-" + nameless.key().substr(0, kDigits);
  return recipe;
}

Config Field::with_widths(std::span<const std::string> wide_layers,
                          std::span<const std::string> narrow_weights) const {
  Config config = start();
  const auto has = [](std::span<const std::string> names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (!has(wide_layers, layers[l].name)) continue;
    const auto& own = layers[l].narrow_weights;
    const bool narrow = !own.empty() && has(narrow_weights, own.front());
    config.widths[l] = narrow ? LayerWidth::NarrowWeights : LayerWidth::Wide;
  }
  return config;
}

Config Field::family_of(const Config& config) const {
  Config family = start();
  for (std::size_t c = 0; c < space.choices.size(); ++c)
    if (space.choices[c].cost == Cost::Calibration) family.values[c] = config.values[c];
  return family;
}

}  // namespace espquant::search
