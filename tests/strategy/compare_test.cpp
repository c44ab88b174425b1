#include "strategy/compare.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/network.h"

namespace espquant::strategy {
namespace {

using test::Network;
using test::random_tensor;

TEST(Unbeaten, IsWhatNoOtherEqualsInAllAndExcelsInOne) {
  const std::vector<Merits> all{
      {100, 10, 1.0, 0.02},   // smallest
      {120, 10, 1.5, 0.01},   // quietest
      {120, 10, 1.5, 0.015},  // as large and slow, but noisier
      {100, 12, 1.0, 0.02},   // only takes more RAM
  };
  EXPECT_EQ(unbeaten(all), (std::vector<bool>{true, true, false, false}));
}

TEST(Unbeaten, EqualOnesDoNotBeatEachOther) {
  const std::vector<Merits> all(2, Merits{100, 10, 1.0, 0.02});
  EXPECT_EQ(unbeaten(all), (std::vector<bool>{true, true}));
}

/// Two convolutions, eight scores.
Graph small_network() {
  Network n;
  const ValueId x = n.input("x", {1, 3, 8, 8});
  const ValueId stem = n.node(
      "Relu", {n.node("Conv", {x, n.random({16, 3, 3, 3})}, {{"pads", test::Ints{1, 1, 1, 1}}})});
  const ValueId body = n.node("Relu", {n.node("Conv", {stem, n.random({16, 16, 1, 1})})});
  const ValueId pooled =
      n.node("Flatten", {n.node("GlobalAveragePool", {body})}, {{"axis", std::int64_t{1}}});
  return n.finish({n.node("Gemm", {pooled, n.random({16, 8}), n.random({8})})});
}

calib::SampleSource small_source() {
  return {12, [](std::int64_t i) {
            return std::vector<Tensor>{
                random_tensor({1, 3, 8, 8}, 100 + static_cast<std::uint64_t>(i))};
          }};
}

Contender contender(Preparation& shared, recipe::Recipe recipe) {
  Contender c;
  c.options.target = &find_target("esp32s3");
  c.options.recipe = std::move(recipe);
  c.shared = &shared;
  return c;
}

TEST(Compare, MeasuresWhatEachRecipeCosts) {
  Preparation shared(small_network(), small_source());
  const std::vector<Contender> contenders{contender(shared, recipe::find_recipe("int8")),
                                          contender(shared, recipe::find_recipe("int16"))};
  const auto results = compare_recipes(contenders, small_source(), {});
  ASSERT_EQ(results.size(), 2u);
  for (const Compared& r : results) {
    EXPECT_EQ(r.refusal, "");
    EXPECT_GT(r.merits.file_bytes, 0u);
    EXPECT_LT(r.merits.file_bytes, r.file->bytes().size());
    EXPECT_GT(r.merits.activation_bytes, 0u);
    EXPECT_GT(r.merits.milliseconds, 0);
    EXPECT_EQ(r.evaluation.samples, 12);
    EXPECT_TRUE(r.unbeaten) << r.recipe.name;
  }
  EXPECT_EQ(results[0].wide_nodes, 0);
  EXPECT_EQ(results[1].wide_nodes, results[1].nodes);
  EXPECT_LT(results[0].merits.file_bytes, results[1].merits.file_bytes);
  EXPECT_GT(results[0].merits.noise_to_signal, results[1].merits.noise_to_signal);
}

TEST(Compare, WhatIsSharedDoesNotChangeTheFile) {
  Preparation shared(small_network(), small_source());
  std::vector<Contender> contenders;
  for (const char* name : {"int8", "mixed", "balanced"})
    contenders.push_back(contender(shared, recipe::find_recipe(name)));
  const auto together = compare_recipes(contenders, small_source(), {});
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    Preparation own(small_network(), small_source());
    contenders[i].shared = &own;
    const auto alone = compare_recipes(std::span(contenders).subspan(i, 1), small_source(), {});
    EXPECT_EQ(alone.front().file->bytes(), together[i].file->bytes())
        << contenders[i].options.recipe.name;
  }
}

TEST(Compare, ALongerNameIsNoDisadvantage) {
  Preparation shared(small_network(), small_source());
  recipe::Recipe longer = recipe::find_recipe("int8");
  longer.name = "the_same_by_a_name_of_more_than_sixteen_letters";
  const std::vector<Contender> contenders{contender(shared, recipe::find_recipe("int8")),
                                          contender(shared, longer)};
  const auto results = compare_recipes(contenders, small_source(), {});
  EXPECT_LT(results[0].file->bytes().size(), results[1].file->bytes().size());
  EXPECT_TRUE(results[0].unbeaten);
  EXPECT_TRUE(results[1].unbeaten);
}

TEST(Compare, ARefusedRecipeLeavesTheOthers) {
  Preparation shared(small_network(), small_source());
  recipe::Recipe impossible = recipe::find_recipe("int8");
  impossible.name = "impossible";
  impossible.quantization.granularity = recipe::Granularity::Channel;
  const std::vector<Contender> contenders{contender(shared, impossible),
                                          contender(shared, recipe::find_recipe("int8"))};
  const auto results = compare_recipes(contenders, small_source(), {});
  EXPECT_NE(results[0].refusal.find("per channel"), std::string::npos) << results[0].refusal;
  EXPECT_FALSE(results[0].unbeaten);
  EXPECT_EQ(results[1].refusal, "");
  EXPECT_TRUE(results[1].unbeaten);
}

TEST(Preparation, EqualSettingsShareAWorkbench) {
  Preparation shared(small_network(), small_source());
  const auto& network = shared.simplified({});
  EXPECT_EQ(&network, &shared.simplified({}));
  const Target& target = find_target("esp32s3");
  const auto bench = [&](const char* recipe) {
    return shared.workbench(network,
                            settings_of(recipe::find_recipe(recipe), network.network, target));
  };
  EXPECT_EQ(bench("balanced"), bench("mixed"));
  EXPECT_NE(bench("int8"), bench("int16"));
}

}  // namespace
}  // namespace espquant::strategy
