#include "strategy/quantize_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/parallel.h"
#include "espdl/writer.h"
#include "sim/verify.h"
#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

QuantizeOptions options_for(const recipe::Recipe& recipe, const char* target = "esp32s3") {
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
recipe::Recipe recipe_of(const std::string& name) {
  recipe::Recipe recipe = recipe::find_recipe(name);
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
  options.recipe = recipe::parse_recipe(stored->second, "metadata");
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

/// Attention of two heads over 16 tokens of 24 features, a residual MLP, and a head that pools.
Graph transformer_block() {
  test::Network net;
  const ValueId tokens = net.input("tokens", {1, 16, 24});
  const auto normalized = [&](ValueId v) {
    // As before training: the bias is zero.
    return net.node("LayerNormalization",
                    {v, net.random({24}, 0.5, 1.5), net.constant(Tensor(DType::Float32, {24}))},
                    {{"axis", -1}});
  };
  const auto linear = [&](ValueId v, std::int64_t from, std::int64_t to) {
    const float reach = 1.7F / std::sqrt(static_cast<float>(from));
    return net.node("Add", {net.node("MatMul", {v, net.random({from, to}, -reach, reach)}),
                            net.random({to}, -0.1F, 0.1F)});
  };
  const auto heads = [&](ValueId v, const test::Ints& perm) {
    return net.node("Transpose", {net.node("Reshape", {v, net.ints({1, 16, 2, 12})})},
                    {{"perm", perm}});
  };
  const ValueId x = normalized(tokens);
  const ValueId q = heads(linear(x, 24, 24), {0, 2, 1, 3});
  const ValueId k = heads(linear(x, 24, 24), {0, 2, 3, 1});
  const ValueId v = heads(linear(x, 24, 24), {0, 2, 1, 3});
  const ValueId scores = net.node("Mul", {net.node("MatMul", {q, k}), net.scalar(0.29F)});
  const ValueId mixed = net.node("MatMul", {net.node("Softmax", {scores}, {{"axis", -1}}), v});
  const ValueId joined = net.node(
      "Reshape",
      {net.node("Transpose", {mixed}, {{"perm", test::Ints{0, 2, 1, 3}}}), net.ints({1, 16, 24})});
  const ValueId attended = net.node("Add", {tokens, linear(joined, 24, 24)});
  const ValueId wide = net.node("Sigmoid", {linear(normalized(attended), 24, 48)});
  const ValueId out = net.node("Add", {attended, linear(wide, 48, 24)});
  const ValueId energy = net.node("Pow", {out, net.scalar(2)});
  return net.finish({net.node("ReduceMean", {energy}, {{"axes", test::Ints{1}}, {"keepdims", 0}})});
}

/// A bidirectional LSTM over 12 steps, a GRU over what it gives, and a head on its last state.
Graph recurrent_network() {
  test::Network net;
  const ValueId x = net.input("steps", {12, 1, 8});
  const auto weights = [&](std::int64_t directions, std::int64_t gates, std::int64_t from,
                           std::int64_t hidden) {
    return std::vector<ValueId>{net.random({directions, gates * hidden, from}, -0.6F, 0.6F),
                                net.random({directions, gates * hidden, hidden}, -0.4F, 0.4F),
                                net.random({directions, 2 * gates * hidden}, -0.2F, 0.2F)};
  };
  std::vector<ValueId> lstm = weights(2, 4, 8, 16), gru = weights(1, 3, 32, 12);
  lstm.insert(lstm.begin(), x);
  const ValueId both = net.nodes(
      "LSTM", lstm,
      {{"hidden_size", std::int64_t{16}}, {"direction", std::string("bidirectional")}}, 3)[0];
  gru.insert(gru.begin(),
             net.node("Reshape", {net.node("Transpose", {both}, {{"perm", test::Ints{0, 2, 1, 3}}}),
                                  net.ints({12, 1, 32})}));
  const ValueId last = net.nodes(
      "GRU", gru, {{"hidden_size", std::int64_t{12}}, {"linear_before_reset", std::int64_t{1}}},
      2)[1];
  return net.finish({net.node("Gemm", {net.node("Reshape", {last, net.ints({1, 12})}),
                                       net.random({12, 5}), net.random({5})})});
}

class WholeNetwork : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  /// The noise of the network, after its file was seen to give its own test values.
  static double noise_of(const Graph& network) {
    const auto& [chip, recipe] = GetParam();
    const QuantizeOptions options = options_for(recipe::find_recipe(recipe), chip);
    const QuantizedModel result =
        quantize_model(network, test::random_samples(network, 32, -1, 1), options);
    const sim::Program program(result.model, *options.target);
    for (const auto& check : sim::verify_test_values(program, {.tolerance = sim::Tolerance::Exact}))
      EXPECT_TRUE(check.passed()) << check.problem;
    return result.noise.output.ratio();
  }
  static bool is_narrow() { return std::string(std::get<1>(GetParam())) != "int16"; }
};

TEST_P(WholeNetwork, AttentionRuns) {
  EXPECT_LT(noise_of(transformer_block()), is_narrow() ? 0.01 : 1e-5);
}

// Gates have steps of 2^-9 at any width.
TEST_P(WholeNetwork, RecurrentLayersRun) {
  EXPECT_LT(noise_of(recurrent_network()), is_narrow() ? 0.01 : 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Chips, WholeNetwork,
                         testing::Combine(testing::Values("esp32s3", "esp32p4", "esp32"),
                                          testing::Values("int8", "int16", "mixed")),
                         [](const auto& parameter) {
                           return std::string(std::get<0>(parameter.param)) + "_" +
                                  std::get<1>(parameter.param);
                         });

/// As Keras exports a layer without return_sequences: the first output of the LSTM has no name.
Graph last_state_network() {
  Graph graph;
  graph.name = "last_state";
  graph.opset = 17;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{6, 1, 8});
  graph.add_input(x);
  const ValueId w = graph.add_constant("w", test::random_tensor({1, 64, 8}, 1, -0.6F, 0.6F));
  const ValueId r = graph.add_constant("r", test::random_tensor({1, 64, 16}, 2, -0.4F, 0.4F));
  const ValueId last = graph.add_value("last", DType::Float32);
  graph.add_node("LSTM", "lstm", {x, w, r}, {kNone, last},
                 test::attributes_of({{"hidden_size", std::int64_t{16}}}));
  graph.add_output(last);
  ops::infer_shapes(graph);
  return graph;
}

TEST(QuantizeModel, ALayerMayNameItsLastStateOnly) {
  const Graph network = last_state_network();
  const calib::SampleSource samples = test::random_samples(network, 32, -1, 1);
  recipe::Recipe listed = recipe::find_recipe("mixed");
  listed.mixed.max_16bit.reset();
  listed.mixed.layers = {"lstm"};
  for (const recipe::Recipe& recipe :
       {recipe::find_recipe("int8"), recipe::find_recipe("mixed"), listed}) {
    const QuantizedModel result = quantize_model(network, samples, options_for(recipe));
    const espdl::ValueInfo* x = result.model.find_value("x");
    ASSERT_NE(x, nullptr);
    EXPECT_EQ(x->dtype, recipe.mixed.enabled ? DType::Int16 : DType::Int8) << "as the layer has it";
    EXPECT_LT(result.noise.output.ratio(), 0.01);
  }
}

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
  for (const measure::LayerNoise& layer : result.noise.layers) reported.insert(layer.node);
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
  recipe::Recipe recipe = recipe_of("int8");
  recipe.quantization.granularity = recipe::Granularity::Channel;
  const Error error = test::error_of([&] { quantized(options_for(recipe)); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_NE(error.remedy().find("esp32p4"), std::string::npos);
}

TEST(QuantizeModel, RefusesPatternsThatMatchNoLayer) {
  recipe::Recipe recipe = recipe_of("int8");
  recipe.layers.push_back({"Konv_1", 16, std::nullopt, std::nullopt, std::nullopt});
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
