#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "espdl/reader.h"
#include "recipe/embedded_recipes.h"
#include "recipe/recipe.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

struct RecipesCommand {
  std::string name;
  bool json = false;
};

void list_recipes(bool json) {
  auto list = nlohmann::ordered_json::array();
  report::Table table({{"recipe"}, {"description"}});
  for (const EmbeddedText& text : recipe::embedded_recipes()) {
    const recipe::Recipe recipe = recipe::find_recipe(text.name);
    list.push_back(nlohmann::ordered_json::parse(recipe::to_json(recipe)));
    table.add_row({recipe.name, recipe.description});
  }
  fmt::print("{}", json ? report::json_text(list) : table.to_string());
}

/// That an .espdl was made by.
std::string recipe_in(const std::string& file) {
  const std::string text = espdl::read_model_file(file, {}).metadata_value("espquant.recipe");
  if (text.empty())
    throw Error(ErrorCode::BadData, "carries no recipe")
        .file(file)
        .remedy("Those that espquant writes do");
  return text;
}

void print_recipe(const RecipesCommand& command) {
  const bool made_by_it = std::filesystem::path(command.name).extension() == ".espdl";
  const std::string text = made_by_it ? recipe_in(command.name) : "";
  const recipe::Recipe recipe =
      made_by_it ? recipe::parse_recipe(text, command.name) : recipe::find_recipe(command.name);
  if (command.json)
    fmt::print("{}", report::json_text(nlohmann::ordered_json::parse(recipe::to_json(recipe))));
  else
    fmt::print("{}", made_by_it ? text : recipe::find_recipe_text(command.name));
}

}  // namespace

void add_recipes(CLI::App& app, Context&) {
  const auto command = std::make_shared<RecipesCommand>();
  CLI::App* sub = app.add_subcommand("recipes", "List the recipes for `quantize`, or print one");
  sub->add_option(
         "NAME", command->name,
         "A recipe, a TOML file with one, or an .espdl that was made by one: checked, then printed")
      ->type_name("NAME|FILE");
  sub->add_flag("--json", command->json, "Print JSON, every key with its value");
  sub->footer(
      "Examples:\n"
      "  espquant recipes\n"
      "  espquant recipes balanced > mine.toml\n"
      "  espquant recipes mine.toml --json\n"
      "  espquant recipes model.espdl > used.toml\n");
  sub->callback([command] {
    if (command->name.empty())
      list_recipes(command->json);
    else
      print_recipe(*command);
  });
}

}  // namespace espquant::cli
