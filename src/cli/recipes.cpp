#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "recipe/embedded_recipes.h"
#include "recipe/recipe.h"
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
  fmt::print("{}", json ? list.dump(2) + '\n' : table.to_string());
}

void print_recipe(const RecipesCommand& command) {
  const recipe::Recipe recipe = recipe::find_recipe(command.name);
  if (command.json)
    fmt::print("{}\n", nlohmann::ordered_json::parse(recipe::to_json(recipe)).dump(2));
  else
    fmt::print("{}", recipe::find_recipe_text(command.name));
}

}  // namespace

void add_recipes(CLI::App& app, Context&) {
  const auto command = std::make_shared<RecipesCommand>();
  CLI::App* sub = app.add_subcommand("recipes", "List the recipes for `quantize`, or print one");
  sub->add_option("NAME", command->name, "A recipe, or a file with one: checked, then printed")
      ->type_name("NAME|FILE");
  sub->add_flag("--json", command->json, "Print JSON, every key with its value");
  sub->footer(
      "Examples:\n"
      "  espquant recipes\n"
      "  espquant recipes balanced > mine.toml\n"
      "  espquant recipes mine.toml --json\n");
  sub->callback([command] {
    if (command->name.empty())
      list_recipes(command->json);
    else
      print_recipe(*command);
  });
}

}  // namespace espquant::cli
