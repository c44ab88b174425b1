#include "search/config.h"

#include <gtest/gtest.h>

namespace espquant::search {
namespace {

using strategy::LayerWidth;

Field field() {
  Field field;
  field.space = whole_space();
  field.layers = {{"stem", {"stem"}}, {"add*", {}}, {"head", {"head", "head2"}}};
  field.plain = recipe::find_recipe("int8");
  return field;
}

Config changed(const Field& field, std::string_view choice, std::size_t value) {
  Config config = field.start();
  config.values[field.space.index_of(choice)] = value;
  return config;
}

TEST(Config, TheFirstIsTheRecipeInt8) {
  const Field f = field();
  EXPECT_EQ(f.recipe_of(f.start()), f.plain);
}

TEST(Config, ItsRecipeSaysTheSame) {
  const Field f = field();
  Config config = changed(f, "calibration", 2);
  config.widths = {LayerWidth::NarrowWeights, LayerWidth::Wide, LayerWidth::Narrow};
  const recipe::Recipe recipe = f.recipe_of(config);
  EXPECT_EQ(recipe.calibration.method, quant::Method::Mse);
  EXPECT_EQ(recipe.mixed.layers, (std::vector<std::string>{"stem", "add\\*"}));
  ASSERT_EQ(recipe.layers.size(), 1u);
  EXPECT_EQ(recipe.layers[0].match, "stem");
  EXPECT_EQ(recipe.layers[0].weight_bits, 8);
  EXPECT_EQ(recipe::parse_recipe(to_toml(recipe), "it"), recipe);
}

TEST(Config, IsCalledAfterItsContent) {
  const Field f = field();
  const Config a = changed(f, "calibration", 2), b = changed(f, "calibration", 3);
  EXPECT_EQ(f.recipe_of(a).name, f.recipe_of(a).name);
  EXPECT_NE(f.recipe_of(a).name, f.recipe_of(b).name);
  EXPECT_TRUE(f.recipe_of(a).name.starts_with("tune-"));
}

TEST(Config, MakesSenseWhereItsNeedsAreMet) {
  Field f = field();
  const Choice& equalization = f.space.choices[f.space.index_of("equalization")];
  const Config to_relu = changed(f, "equalization", equalization.values.size() - 1);
  EXPECT_FALSE(f.makes_sense(to_relu));
  f.has_caps = true;
  EXPECT_TRUE(f.makes_sense(to_relu));
  Config coarse = changed(f, "tables", 1);
  EXPECT_FALSE(f.makes_sense(coarse));
  coarse.widths[0] = LayerWidth::Wide;
  EXPECT_TRUE(f.makes_sense(coarse));
  // The second layer has no weights that could be narrower.
  coarse.widths[1] = LayerWidth::NarrowWeights;
  EXPECT_FALSE(f.makes_sense(coarse));
}

TEST(Config, AFamilySharesItsCalibration) {
  const Field f = field();
  Config config = changed(f, "calibration", 2);
  config.values[f.space.index_of("refine")] = 1;
  config.widths[0] = LayerWidth::Wide;
  EXPECT_EQ(f.family_of(config), changed(f, "calibration", 2));
}

TEST(Config, WidthsThatARecipeChoseAreFoundAgain) {
  const Field f = field();
  const std::vector<std::string> wide{"stem", "head"}, narrow{"head", "head2"};
  EXPECT_EQ(
      f.with_widths(wide, narrow).widths,
      (std::vector<LayerWidth>{LayerWidth::Wide, LayerWidth::Narrow, LayerWidth::NarrowWeights}));
}

}  // namespace
}  // namespace espquant::search
