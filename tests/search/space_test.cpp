#include "search/space.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace espquant::search {
namespace {

std::vector<std::string> names_of_values(const Choice& choice) {
  std::vector<std::string> names;
  for (const Value& value : choice.values) names.push_back(value.name);
  return names;
}

TEST(Space, BeginsWithTheRecipeInt8AndEveryValueSetsKeysOfARecipe) {
  const Space space = whole_space();
  const recipe::Recipe plain = recipe::find_recipe("int8");
  for (const Choice& choice : space.choices) {
    ASSERT_GE(choice.values.size(), 2u) << choice.name;
    EXPECT_TRUE(choice.values.front().sets.empty()) << choice.name;
    for (std::size_t v = 1; v < choice.values.size(); ++v) {
      recipe::Recipe recipe = plain;
      recipe::apply_overrides(recipe, choice.values[v].sets);
      EXPECT_NE(recipe, plain) << choice.name << " " << choice.values[v].name;
    }
  }
}

TEST(Space, KnowsWhatValuesTakeAndNeed) {
  const Space space = whole_space();
  const Choice& equalization = space.choices[space.index_of("equalization")];
  EXPECT_EQ(equalization.cost, Cost::Calibration);
  EXPECT_EQ(equalization.values.back().name, "to_relu");
  EXPECT_EQ(equalization.values.back().need, Need::Caps);
  EXPECT_EQ(equalization.values.front().need, Need::Nothing);
  EXPECT_EQ(space.choices[space.index_of("finetune")].cost, Cost::Training);
}

TEST(Space, IsNarrowedByAFile) {
  const Space space = narrowed_space(
      "calibration = [\"minmax\", \"auto\"]\nwidths = [\"8\", \"w8a16\"]\nlayers = [\"/head/*\"]\n"
      "start = [\"int8\"]\n",
      "mine.toml");
  EXPECT_EQ(names_of_values(space.choices[space.index_of("calibration")]),
            (std::vector<std::string>{"auto", "minmax"}));
  EXPECT_FALSE(space.wide);
  EXPECT_TRUE(space.w8a16);
  EXPECT_EQ(space.layers, std::vector<std::string>{"/head/*"});
  EXPECT_EQ(space.start, std::vector<std::string>{"int8"});
  EXPECT_EQ(space.choices.size(), whole_space().choices.size());
}

TEST(Space, WhatAFileSaysThatIsNotThereIsRefusedWithItsLine) {
  const auto refusal = [](const char* text) {
    return test::error_of([&] { narrowed_space(text, "mine.toml"); });
  };
  EXPECT_STREQ(refusal("\ncalibraton = [\"auto\"]\n").what(),
               "mine.toml: line 2: there is no choice 'calibraton'. Did you mean 'calibration'?");
  EXPECT_EQ(refusal("calibration = [\"msee\"]\n").remedy(), "Did you mean 'mse'?");
  EXPECT_EQ(refusal("calibration = []\n").code(), ErrorCode::Usage);
  EXPECT_EQ(refusal("calibration = \"mse\"\n").code(), ErrorCode::Usage);
  EXPECT_EQ(refusal("calibration = [1]\n").code(), ErrorCode::Usage);
  EXPECT_EQ(refusal("widths = [\"4\"]\n").code(), ErrorCode::Usage);
  EXPECT_EQ(refusal("calibration = [\n").code(), ErrorCode::Usage);
}

}  // namespace
}  // namespace espquant::search
