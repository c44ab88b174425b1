#include "search/evaluator.h"

#include <gtest/gtest.h>

#include "search/config.h"
#include "tests/strategy/small_network.h"

namespace espquant::search {
namespace {

calib::SampleSource images(std::uint64_t seed, std::int64_t count) {
  return {count, [seed](std::int64_t i) {
            return std::vector<Tensor>{
                test::random_tensor({1, 3, 8, 8}, seed + static_cast<std::uint64_t>(i), -1, 2)};
          }};
}

/// A search's inputs, without the search.
class EvaluatorTest : public ::testing::Test {
 protected:
  EvaluatorTest() {
    plain_.target = "esp32s3";
    plain_.espdl = std::string(find_target("esp32s3").release.version);
  }
  Evaluator evaluator() {
    Ingredients ingredients;
    ingredients.shared = &shared_;
    ingredients.target = &find_target("esp32s3");
    ingredients.metadata = [](const recipe::Recipe&) {
      return std::vector<std::pair<std::string, std::string>>();
    };
    return Evaluator(std::move(ingredients), jury_);
  }
  Field field_of(const Outcome& layers) const {
    Field field;
    field.space = whole_space();
    field.layers = layers.layers;
    field.has_caps = layers.has_caps;
    field.plain = plain_;
    return field;
  }

  static std::vector<std::int64_t> all_of(std::int64_t count) {
    std::vector<std::int64_t> samples;
    for (std::int64_t i = 0; i < count; ++i) samples.push_back(i);
    return samples;
  }

  recipe::Recipe plain_ = recipe::find_recipe("int8");
  strategy::Preparation shared_{test::small_network(), images(1000, 80)};
  Jury jury_{shared_.simplified({}).network, images(5000, 40), {}, all_of(40)};
};

TEST_F(EvaluatorTest, ATrialIsTheFileThatTheRecipeGives) {
  Evaluator evaluator = this->evaluator();
  const Outcome outcome = evaluator.run({Work::Kind::Trial, plain_, ""});
  ASSERT_EQ(outcome.refusal, "");
  EXPECT_GT(outcome.noise, 0);
  EXPECT_GT(outcome.judged, 0);
  EXPECT_EQ(outcome.part_noises.size(), 8u);
  EXPECT_GT(outcome.milliseconds, 0);
  EXPECT_GT(outcome.ram, 0);
  ASSERT_TRUE(outcome.agreement.has_value());
  EXPECT_DOUBLE_EQ(*outcome.accuracy_drop, 1 - *outcome.agreement);

  strategy::QuantizeOptions options;
  options.recipe = plain_;
  options.target = &find_target("esp32s3");
  const auto alone = strategy::quantize_model(test::small_network(), images(1000, 80), options);
  const std::optional<Made> made = evaluator.take_made();
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->file.bytes(), strategy::pass_last_gate(alone, *options.target).bytes());
}

TEST_F(EvaluatorTest, OutcomesDoNotDependOnWhatWasAskedBefore) {
  Evaluator first = evaluator();
  const Outcome layers = first.run({Work::Kind::Layers, plain_, ""});
  ASSERT_GT(layers.layers.size(), 2u);
  ASSERT_FALSE(layers.tensors.empty());
  EXPECT_TRUE(layers.has_caps);
  const Field field = field_of(layers);
  std::vector<Work> works;
  for (std::size_t l = 0; l < field.layers.size(); ++l) {
    Config config = field.start();
    config.widths[l] = strategy::LayerWidth::Wide;
    works.push_back({Work::Kind::Look, field.recipe_of(config), ""});
    if (field.may_have(l, strategy::LayerWidth::NarrowWeights)) {
      config.widths[l] = strategy::LayerWidth::NarrowWeights;
      works.push_back({Work::Kind::Look, field.recipe_of(config), ""});
      works.push_back({Work::Kind::Trial, field.recipe_of(config), ""});
    }
  }
  works.push_back({Work::Kind::Tensor, plain_, layers.tensors.front().name});
  Config equalized = field.start();
  equalized.values[field.space.index_of("equalization")] = 1;
  works.push_back({Work::Kind::Look, field.recipe_of(equalized), ""});
  equalized.widths[0] = strategy::LayerWidth::Wide;
  works.push_back({Work::Kind::Trial, field.recipe_of(equalized), ""});

  std::vector<Outcome> forwards;
  for (const Work& work : works) forwards.push_back(first.run(work));
  strategy::Preparation other(test::small_network(), images(1000, 80));
  Ingredients ingredients;
  ingredients.shared = &other;
  ingredients.target = &find_target("esp32s3");
  ingredients.metadata = [](const recipe::Recipe&) {
    return std::vector<std::pair<std::string, std::string>>();
  };
  Evaluator second(std::move(ingredients), jury_);
  for (std::size_t i = works.size(); i-- > 0;) {
    Outcome backwards = second.run(works[i]);
    backwards.seconds = forwards[i].seconds;
    EXPECT_EQ(backwards, forwards[i]) << i << " " << to_json(forwards[i]);
  }
}

TEST_F(EvaluatorTest, WidthsCostAndHelp) {
  Evaluator evaluator = this->evaluator();
  const Field field = field_of(evaluator.run({Work::Kind::Layers, plain_, ""}));
  Config wide = field.start();
  for (auto& width : wide.widths) width = strategy::LayerWidth::Wide;
  const Outcome narrow = evaluator.run({Work::Kind::Look, plain_, ""});
  const Outcome all = evaluator.run({Work::Kind::Look, field.recipe_of(wide), ""});
  EXPECT_LT(all.judged, 0.1 * narrow.judged);
  EXPECT_GT(all.flash, narrow.flash);
  EXPECT_NE(all.milliseconds, narrow.milliseconds);
}

TEST_F(EvaluatorTest, WhatTheChipRefusesIsAnOutcome) {
  recipe::Recipe recipe = plain_;
  recipe.quantization.granularity = recipe::Granularity::Channel;
  const Outcome outcome = evaluator().run({Work::Kind::Trial, recipe, ""});
  EXPECT_NE(outcome.refusal.find("per channel"), std::string::npos) << outcome.refusal;
}

}  // namespace
}  // namespace espquant::search
