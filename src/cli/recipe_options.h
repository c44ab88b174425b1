#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "job/recipe.h"

/// The options of every command that follows a recipe.
namespace espquant::cli {

/// Adds --recipe and the options that override it.
void add_recipe_options(CLI::App& app, job::RecipeOptions& options);
/// Of these, the ones that make sense for any recipe.
void add_recipe_changes(CLI::App& app, job::RecipeOptions& options);
/// --time: `take` gets the seconds; `text` says for what.
void add_time(CLI::App& app, const std::function<void(double)>& take, const std::string& text);

}  // namespace espquant::cli
