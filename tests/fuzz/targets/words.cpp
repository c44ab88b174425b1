#include <string>
#include <vector>

#include "data/preprocess.h"
#include "espdl/container.h"
#include "recipe/recipe.h"
#include "schedule/optimize.h"
#include "search/goal.h"
#include "target/target.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

std::vector<std::string> lines_of(FuzzInput bytes) {
  std::vector<std::string> lines(1);
  for (const std::byte b : bytes)
    if (b == std::byte{'\n'})
      lines.emplace_back();
    else
      lines.back().push_back(static_cast<char>(b));
  return lines;
}

}  // namespace

void fuzz_words(FuzzInput bytes) {
  const std::vector<std::string> lines = lines_of(bytes);
  const std::string& first = lines.front();
  accepted([&] {
    const search::Goal goal = search::parse_goal(first);
    (void)search::parse_goal(search::text_of(goal));
  });
  accepted([&] { (void)schedule::parse_goal(first); });
  accepted([&] { (void)find_target(first); });
  accepted([&] { (void)find_release(first); });
  accepted([&] { (void)espdl::parse_key(first); });
  accepted([&] {
    recipe::Recipe recipe;
    recipe::apply_overrides(recipe, lines);
    recipe::Recipe again = recipe::parse_recipe(recipe::to_toml(recipe), "again.toml");
    promised(again == recipe, "an overridden recipe is another when it is read");
  });
  accepted([&] {
    (void)data::preprocess_for({"input", {1, 3, 32, 48}}, data::parse_settings(lines));
  });
}

}  // namespace espquant::test
