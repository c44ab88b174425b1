#include "espquant/recipe.h"

#include "job/recipe.h"
#include "recipe/embedded_recipes.h"

namespace espquant {

Recipe::Recipe() : options_(new job::RecipeOptions) {}

Recipe::Recipe(const std::string& name_or_file) : options_(new job::RecipeOptions) {
  options_->recipe = name_or_file;
  job::recipe_of(*options_);
}

Recipe Recipe::from_toml(const std::string& text) {
  Recipe recipe;
  recipe.options_->toml = text;
  job::recipe_of(*recipe.options_);
  return recipe;
}

Recipe::Recipe(const Recipe& other) : options_(new job::RecipeOptions(*other.options_)) {}

Recipe& Recipe::operator=(const Recipe& other) {
  *options_ = *other.options_;
  return *this;
}

Recipe::~Recipe() = default;

Recipe& Recipe::set(const std::string& assignment) { return set_all({assignment}); }

Recipe& Recipe::set_all(const std::vector<std::string>& assignments) {
  job::RecipeOptions changed = *options_;
  changed.set.insert(changed.set.end(), assignments.begin(), assignments.end());
  job::recipe_of(changed);
  *options_ = std::move(changed);
  return *this;
}

std::string Recipe::name() const { return job::recipe_of(*options_).name; }
std::string Recipe::to_toml() const { return recipe::to_toml(job::recipe_of(*options_)); }
std::string Recipe::to_json() const { return recipe::to_json(job::recipe_of(*options_)); }

std::vector<std::string> Recipe::names() {
  std::vector<std::string> names;
  for (const EmbeddedText& one : recipe::embedded_recipes()) names.emplace_back(one.name);
  return names;
}

}  // namespace espquant
