#include "job/recipe.h"

#include <fmt/format.h>

#include <algorithm>

namespace espquant::job {

recipe::Recipe recipe_of(const RecipeOptions& options) {
  recipe::Recipe recipe = options.toml.empty() ? recipe::find_recipe(options.recipe)
                                               : recipe::parse_recipe(options.toml, "recipe");
  std::vector<std::string> changes;
  const auto change = [&](const char* key, const auto& value) {
    if (value) changes.push_back(fmt::format("{}={}", key, *value));
  };
  // A goal of the command line takes the place of the recipe's.
  const bool goal =
      options.max_16bit || options.budget_kb || options.budget_ms || options.accuracy_within;
  if (goal && recipe.mixed.enabled && recipe.mixed.layers.empty()) {
    recipe.mixed = {};
    recipe.mixed.enabled = true;
  }
  if (goal && !recipe.mixed.enabled)
    throw Error(ErrorCode::Usage,
                fmt::format("the recipe '{}' chooses no layers for 16 bits", recipe.name))
        .remedy("Use --recipe mixed");
  if (!options.espdl.empty()) changes.push_back(fmt::format("espdl={}", options.espdl));
  change("quantization.bits", options.bits);
  change("quantization.granularity", options.weights);
  change("calibration.method", options.method);
  change("calibration.percentile", options.percentile);
  change("calibration.samples", options.calib_count);
  change("calibration.seed", options.seed);
  change("mixed.max_16bit", options.max_16bit);
  change("mixed.budget_kb", options.budget_kb);
  change("mixed.budget_ms", options.budget_ms);
  change("mixed.accuracy_within", options.accuracy_within);
  if (options.qdq_ranges) changes.emplace_back("calibration.qdq_ranges=true");
  if (options.no_scaling) changes.emplace_back("quantization.scale_layers=false");
  if (options.no_weight_rounding) changes.emplace_back("quantization.round_weights=false");
  if (options.no_bias_correction) changes.emplace_back("quantization.bias_correction=none");
  changes.insert(changes.end(), options.set.begin(), options.set.end());
  recipe::apply_overrides(recipe, changes);
  recipe.quantization.disabled_passes.insert(recipe.quantization.disabled_passes.end(),
                                             options.disabled_passes.begin(),
                                             options.disabled_passes.end());
  // The files of a recipe are called after what they are.
  if (recipe.name == "int8" && recipe.quantization.bits == 16)
    recipe.name = recipe.quantization.weight_bits == 8 ? "w8a16" : "int16";
  return recipe;
}

Error located(Error error, const std::filesystem::path& model, const RecipeOptions& options) {
  if (error.code() != ErrorCode::Usage) return error.file(model.string());
  if (std::filesystem::exists(options.recipe)) return error.file(options.recipe);
  return error;
}

const Target& target_for(const std::string& given, const recipe::Recipe& recipe, const Tell& tell) {
  const std::string_view chosen = !given.empty()           ? std::string_view(given)
                                  : !recipe.target.empty() ? std::string_view(recipe.target)
                                                           : "esp32s3";
  const Target& target = find_target(chosen);
  if (!given.empty() && !recipe.target.empty() && &find_target(recipe.target) != &target)
    tell(fmt::format("the recipe '{}' is for {}; --target {} counts", recipe.name, recipe.target,
                     given));
  return recipe.espdl.empty() ? target : target.under(find_release(recipe.espdl));
}

}  // namespace espquant::job
