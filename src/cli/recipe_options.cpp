#include "cli/recipe_options.h"

#include <fmt/format.h>

#include "cli/notes.h"
#include "cli/validators.h"

namespace espquant::cli {

namespace {

constexpr const char* kGroup = "Recipe";

}  // namespace

void add_recipe_options(CLI::App& app, RecipeOptions& options) {
  app.add_option(
         "--recipe", options.recipe,
         "int8, mixed, balanced, w8a16, int16 (espquant recipes shows them), or a TOML file")
      ->capture_default_str()
      ->type_name("NAME|FILE")
      ->group(kGroup);
  add_recipe_changes(app, options);
  app.add_option("--max-16bit", options.max_16bit, "mixed: at most this many layers at 16 bits")
      ->check(whole_number(0))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--budget-kb", options.budget_kb, "mixed: KiB that the file may grow by")
      ->check(number_from(0))
      ->type_name("KIB")
      ->group(kGroup);
  app.add_option("--budget-ms", options.budget_ms, "mixed: ms that a run may last longer")
      ->check(number_from(0))
      ->type_name("MS")
      ->group(kGroup);
  app.add_option("--accuracy-within", options.accuracy_within,
                 "mixed: stop when accuracy is within this of float (0.005: half a point)")
      ->check(number_from(0))
      ->type_name("SHARE")
      ->group(kGroup);
}

void add_recipe_changes(CLI::App& app, RecipeOptions& options) {
  app.add_option("--set", options.set,
                 "Change the recipe by any of its keys, as calibration.method=kl; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE")
      ->group(kGroup);
  app.add_option("--calib-count", options.calib_count,
                 "Calibrate on at most this many samples, evenly spread (default: all)")
      ->check(whole_number(1))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--seed", options.seed, "Draw those samples at random, the same for the same seed")
      ->check(whole_number(0))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--bits", options.bits, "Width of weights and activations")
      ->check(one_of({"8", "16"}))
      ->type_name("8|16")
      ->group(kGroup);
  app.add_option("--weights", options.weights,
                 "One exponent per tensor or per channel; auto: what the chip can")
      ->check(one_of({"auto", "tensor", "channel"}))
      ->type_name("auto|tensor|channel")
      ->group(kGroup);
  app.add_option("--method", options.method,
                 "How ranges are chosen: auto, minmax, percentile, entropy (kl), mse, sqnr")
      ->type_name("METHOD")
      ->group(kGroup);
  app.add_option("--percentile", options.percentile, "What --method percentile keeps, in %")
      ->check(number_from(0))
      ->type_name("PERCENT")
      ->group(kGroup);
  app.add_option("--disable-pass", options.disabled_passes, "Leave out a rewriting pass, by name")
      ->type_name("PASS")
      ->group(kGroup);
  app.add_flag("--use-qdq-ranges", options.qdq_ranges,
               "Of a network that was quantized before (QDQ): keep its ranges")
      ->group(kGroup);
  app.add_flag("--no-bias-correction", options.no_bias_correction, "Leave biases as they are")
      ->group(kGroup);
  app.add_flag("--no-scaling", options.no_scaling, "Do not scale layers towards powers of two")
      ->group(kGroup);
  app.add_flag("--no-weight-rounding", options.no_weight_rounding,
               "Round every weight to nearest instead of all of a filter together")
      ->group(kGroup);
}

recipe::Recipe recipe_of(const RecipeOptions& options) {
  recipe::Recipe recipe = recipe::find_recipe(options.recipe);
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

const Target& target_for(const std::string& given, const recipe::Recipe& recipe) {
  const std::string_view chosen = !given.empty()           ? std::string_view(given)
                                  : !recipe.target.empty() ? std::string_view(recipe.target)
                                                           : "esp32s3";
  const Target& target = find_target(chosen);
  if (!given.empty() && !recipe.target.empty() && &find_target(recipe.target) != &target)
    print_note(fmt::format("the recipe '{}' is for {}; --target {} counts", recipe.name,
                           recipe.target, given));
  return recipe.espdl.empty() ? target : target.under(find_release(recipe.espdl));
}

}  // namespace espquant::cli
