#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "job/tell.h"
#include "recipe/recipe.h"
#include "target/target.h"

namespace espquant::job {

/// What a command line says of a recipe: its name, and what it changes in it.
struct RecipeOptions {
  std::string recipe = "int8";
  /// The recipe itself, in place of its name.
  std::string toml;
  /// Empty: what the recipe says.
  std::string espdl;
  std::vector<std::string> set;
  std::optional<int> bits;
  std::optional<std::string> method, weights;
  std::optional<double> percentile, budget_kb, budget_ms, accuracy_within;
  std::optional<std::int64_t> calib_count, seed, max_16bit;
  std::vector<std::string> disabled_passes;
  bool no_scaling = false, no_weight_rounding = false, no_bias_correction = false;
  bool qdq_ranges = false;
};

/// The recipe with the overrides. Throws Error(Usage) as find_recipe and apply_overrides.
recipe::Recipe recipe_of(const RecipeOptions& options);

/// The error with the file that it is about: the recipe's where one was given and the error is of
/// usage, else the model's.
Error located(Error error, const std::filesystem::path& model, const RecipeOptions& options);

/// `given`, else the recipe's target, else esp32s3; under the recipe's release, else the newest.
const Target& target_for(const std::string& given, const recipe::Recipe& recipe, const Tell& tell);

}  // namespace espquant::job
