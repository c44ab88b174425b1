#include "strategy/quantize_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/parallel.h"
#include "espdl/writer.h"
#include "sim/verify.h"
#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

QuantizeOptions options_for(const Recipe& recipe, const char* target = "esp32s3") {
  QuantizeOptions options;
  options.recipe = recipe;
  options.target = &find_target(target);
  options.report_samples = 4;
  return options;
}

QuantizedModel quantized(const QuantizeOptions& options) {
  const Graph network = test::small_network();
  return quantize_model(network, test::random_samples(network, 16, -1, 2), options);
}

/// One layer for mixed, so that tests are quick.
Recipe recipe_of(const std::string& name) {
  Recipe recipe = find_recipe(name);
  if (recipe.mixed.enabled) recipe.mixed.max_16bit = 1;
  return recipe;
}

class QuantizeBy : public testing::TestWithParam<std::tuple<std::string, const char*>> {
 protected:
  QuantizeOptions options() const {
    const auto& [recipe, target] = GetParam();
    return options_for(recipe_of(recipe), target);
  }
};

TEST_P(QuantizeBy, TheStoredRecipeGivesTheSameFileAgain) {
  QuantizeOptions options = this->options();
  const QuantizedModel first = quantized(options);
  const auto& metadata = first.model.metadata;
  const auto stored = std::find_if(metadata.begin(), metadata.end(),
                                   [](const auto& m) { return m.first == "espquant.recipe"; });
  ASSERT_NE(stored, metadata.end());
  options.recipe = parse_recipe(stored->second, "metadata");
  EXPECT_EQ(options.recipe, first.recipe);
  EXPECT_EQ(espdl::write_model(quantized(options).model), espdl::write_model(first.model));
}

TEST_P(QuantizeBy, EqualBytesForOneThreadAndTwo) {
  const auto bytes = [&](int threads) {
    set_thread_count(threads);
    const auto file = espdl::write_model(quantized(options()).model);
    set_thread_count(0);
    return file;
  };
  EXPECT_EQ(bytes(1), bytes(2));
}

TEST_P(QuantizeBy, TheTestValuesVerifyExactly) {
  const QuantizeOptions options = this->options();
  const QuantizedModel result = quantized(options);
  const sim::Program program(result.model, *options.target);
  const auto checks = sim::verify_test_values(program, {.tolerance = sim::Tolerance::Exact});
  ASSERT_EQ(checks.size(), 1u);
  EXPECT_EQ(checks[0].different, 0);
  EXPECT_TRUE(checks[0].passed()) << checks[0].problem;
}

INSTANTIATE_TEST_SUITE_P(Recipes, QuantizeBy,
                         testing::Combine(testing::Values("int8", "int16", "balanced", "mixed"),
                                          testing::Values("esp32s3", "esp32p4", "esp32")),
                         [](const auto& parameter) {
                           return std::get<0>(parameter.param) + "_" + std::get<1>(parameter.param);
                         });

TEST(QuantizeModel, NoiseFallsFromInt8OverMixedToInt16) {
  const double narrow = quantized(options_for(recipe_of("int8"))).noise.output.ratio();
  const double some = quantized(options_for(recipe_of("mixed"))).noise.output.ratio();
  const double wide = quantized(options_for(recipe_of("int16"))).noise.output.ratio();
  EXPECT_LT(narrow, 0.02);
  EXPECT_LT(some, narrow);
  EXPECT_LT(wide, some);
  EXPECT_LT(wide, 1e-5);
}

TEST(QuantizeModel, SaysWhichWayOfEqualizingWasKept) {
  const QuantizedModel result = quantized(options_for(recipe_of("balanced")));
  ASSERT_EQ(result.equalization.size(), 4u);
  EXPECT_EQ(std::count_if(result.equalization.begin(), result.equalization.end(),
                          [](const EqualizationTrial& trial) { return trial.kept; }),
            1);
}

TEST(QuantizeModel, SettlesTheLayersThatWereChosen) {
  const QuantizedModel result = quantized(options_for(recipe_of("mixed")));
  ASSERT_EQ(result.wide_layers.size(), 1u);
  EXPECT_EQ(result.recipe.mixed.layers, std::vector<std::string>{result.wide_layers[0].layer});
  EXPECT_FALSE(result.recipe.mixed.max_16bit);
}

TEST(QuantizeModel, EveryNodeOfTheModelIsInTheReport) {
  const QuantizedModel result = quantized(options_for(recipe_of("int8")));
  EXPECT_EQ(result.noise.samples, 4);
  std::set<std::string> reported;
  for (const LayerNoise& layer : result.noise.layers) reported.insert(layer.node);
  for (const char* name : {"Conv", "Conv_1", "Conv_2", "Conv_3", "Gemm"})
    EXPECT_TRUE(reported.contains(name)) << name;
}

TEST(QuantizeModel, LeavesTestValuesOutWhereAskedTo) {
  QuantizeOptions options = options_for(recipe_of("int8"));
  options.test_values = false;
  const QuantizedModel result = quantized(options);
  EXPECT_TRUE(result.model.test_inputs.empty());
  EXPECT_TRUE(result.model.test_outputs.empty());
}

TEST(QuantizeModel, RefusesWhatTheChipCannotDo) {
  Recipe recipe = recipe_of("int8");
  recipe.quantization.granularity = Granularity::Channel;
  const Error error = test::error_of([&] { quantized(options_for(recipe)); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_NE(error.remedy().find("esp32p4"), std::string::npos);
}

TEST(QuantizeModel, RefusesPatternsThatMatchNoLayer) {
  Recipe recipe = recipe_of("int8");
  recipe.layers.push_back({"Konv_1", 16, std::nullopt, std::nullopt});
  EXPECT_EQ(test::error_of([&] { quantized(options_for(recipe)); }).code(), ErrorCode::Usage);
}

TEST(QuantizeModel, ReportsTheStagesInOrder) {
  std::vector<std::string> names;
  for (const Stage& stage : quantized(options_for(recipe_of("int8"))).stages)
    names.push_back(stage.name);
  EXPECT_EQ(names, (std::vector<std::string>{"simplify", "calibrate", "quantize", "simulate"}));
}

}  // namespace
}  // namespace espquant::strategy
