#include <string_view>

#include "cost/board_file.h"
#include "data/preprocess.h"
#include "recipe/recipe.h"
#include "search/space.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_toml(FuzzInput bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  accepted([&] {
    const recipe::Recipe recipe = recipe::parse_recipe(text, "recipe.toml");
    promised(recipe::parse_recipe(recipe::to_toml(recipe), "again.toml") == recipe,
             "a recipe that was written is another when it is read");
    (void)recipe::to_json(recipe);
  });
  accepted([&] {
    const cost::BoardFile board = cost::parse_board(text, "board.toml");
    (void)cost::parse_board(cost::board_text(board), "again.toml");
  });
  accepted([&] {
    const data::InputSpec input{"input", {1, 3, 32, 48}};
    const data::Preprocess made = data::preprocess_for(input, data::parse_settings_toml(text));
    promised(data::preprocess_for(input, data::to_settings(made)) == made,
             "settings that were stored are others when they are read");
  });
  accepted([&] { (void)search::narrowed_space(text, "space.toml"); });
}

}  // namespace espquant::test
