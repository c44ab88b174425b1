#pragma once

#include <CLI/CLI.hpp>

#include "job/recipe.h"

/// The options of every command that follows a recipe.
namespace espquant::cli {

/// Adds --recipe and the options that override it.
void add_recipe_options(CLI::App& app, job::RecipeOptions& options);
/// Of these, the ones that make sense for any recipe.
void add_recipe_changes(CLI::App& app, job::RecipeOptions& options);

}  // namespace espquant::cli
