#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/verify.h"
#include "strategy/quantize_model.h"
#include "strategy/recurrent_notes.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

constexpr std::int64_t kRnnHidden = 8, kRnnFeatures = 8;

struct Rnn {
  std::string op = "LSTM";
  std::int64_t steps = 6;
  test::AttributeList attributes = {};
  bool states = false;
};

/// One layer; its hidden states and last states are outputs.
Graph rnn_network(const Rnn& rnn) {
  test::Network net;
  const std::int64_t gates = rnn.op == "LSTM" ? 4 : 3;
  std::vector<ValueId> inputs{net.input("x", {rnn.steps, 1, kRnnFeatures}),
                              net.random({1, gates * kRnnHidden, kRnnFeatures}, -0.6F, 0.6F),
                              net.random({1, gates * kRnnHidden, kRnnHidden}, -0.4F, 0.4F),
                              net.random({1, 2 * gates * kRnnHidden}, -0.2F, 0.2F)};
  if (rnn.states) {
    inputs.push_back(kNone);
    inputs.push_back(net.input("h", {1, 1, kRnnHidden}));
    if (rnn.op == "LSTM") inputs.push_back(net.input("cell", {1, 1, kRnnHidden}));
  }
  test::AttributeList attributes = rnn.attributes;
  attributes.emplace_back("hidden_size", kRnnHidden);
  return net.finish(net.nodes(rnn.op, inputs, attributes, rnn.op == "LSTM" ? 3 : 2));
}

/// Eight cells that gain nearly 1 a step, up or down: gates are open whatever the input.
Graph growing_network(std::int64_t steps) {
  test::Network net;
  Tensor w(DType::Float32, {1, 4 * kRnnHidden, 1}), b(DType::Float32, {1, 8 * kRnnHidden});
  for (std::size_t i = 0; i < 4 * kRnnHidden; ++i) {
    const bool candidate = i >= 3 * kRnnHidden;
    b.mutable_data<float>()[i] = candidate ? 0.0F : 5.0F;
    w.mutable_data<float>()[i] = candidate ? (i % 2 == 0 ? 2.5F : -2.5F) : 0.0F;
  }
  const auto y = net.nodes("LSTM",
                           {net.input("x", {steps, 1, 1}), net.constant(std::move(w)),
                            net.constant(Tensor(DType::Float32, {1, 4 * kRnnHidden, kRnnHidden})),
                            net.constant(std::move(b))},
                           {{"hidden_size", kRnnHidden}}, 3);
  return net.finish({y[0]});
}

QuantizedModel quantized_rnn(const Graph& network, const calib::SampleSource& samples,
                             const char* chip, const char* recipe) {
  QuantizeOptions options;
  options.recipe = recipe::find_recipe(recipe);
  options.target = &find_target(chip);
  options.report_samples = 8;
  QuantizedModel result = quantize_model(network, samples, options);
  const sim::Program program(result.model, *options.target);
  for (const auto& check : sim::verify_test_values(program, {.tolerance = sim::Tolerance::Exact}))
    EXPECT_TRUE(check.passed()) << check.problem;
  return result;
}

double most_noise(bool narrow) { return narrow ? 0.01 : 1e-4; }

class RecurrentNetwork : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  static QuantizedModel made_of(const Graph& network, const calib::SampleSource& samples) {
    const auto& [chip, recipe] = GetParam();
    return quantized_rnn(network, samples, chip, recipe);
  }
  static QuantizedModel made_of(const Graph& network, float low = -1) {
    return made_of(network, test::random_samples(network, 16, low, 1));
  }
  static double limit() { return most_noise(std::string(std::get<1>(GetParam())) == "int8"); }
};

// Beyond +-64 the chip's cells would turn their sign in steps of 2^-9.
TEST_P(RecurrentNetwork, ACellThatGrowsHasCoarserSteps) {
  const QuantizedModel result = made_of(growing_network(90), 0.9F);
  const auto node = std::find_if(result.model.nodes.begin(), result.model.nodes.end(),
                                 [](const espdl::Node& n) { return n.op == "LSTM"; });
  ASSERT_NE(node, result.model.nodes.end());
  EXPECT_GT(node->get_int("gate_exponent", 0), -9);
  EXPECT_LT(result.noise.output.ratio(), limit());
  ASSERT_EQ(result.notes.size(), 1U);
  EXPECT_NE(result.notes[0].find("LSTM"), std::string::npos);
}

TEST_P(RecurrentNetwork, StatesMayBeInputsAndOutputs) {
  for (const char* op : {"LSTM", "GRU"})
    EXPECT_LT(made_of(rnn_network({.op = op,
                                   .attributes = {{"linear_before_reset", std::int64_t{1}}},
                                   .states = true}))
                  .noise.output.ratio(),
              limit());
}

TEST_P(RecurrentNetwork, ReverseRuns) {
  EXPECT_LT(made_of(rnn_network({.attributes = {{"direction", std::string("reverse")}}}))
                .noise.output.ratio(),
            limit());
}

TEST_P(RecurrentNetwork, WhatTheChipLacksRunsAsOperators) {
  const QuantizedModel clipped =
      made_of(rnn_network({.steps = 2, .attributes = {{"clip", 0.5F}}, .states = true}));
  EXPECT_LT(clipped.noise.output.ratio(), limit());
  EXPECT_EQ(clipped.notes.size(), 1U);
  const QuantizedModel reset_before = made_of(rnn_network({.op = "GRU", .steps = 3}));
  EXPECT_LT(reset_before.noise.output.ratio(), limit());
}

// A cell far beyond the others' range, next to states that are small.
TEST_P(RecurrentNetwork, OneStepOfALargeCellHasExponentsOfItsOwn) {
  const Graph network = rnn_network({.steps = 1, .states = true});
  calib::SampleSource samples = test::random_samples(network, 16, -1, 1);
  const auto tame = samples.sample;
  samples.sample = [&](std::int64_t i) {
    std::vector<Tensor> inputs = tame(i);
    for (float& c : inputs[2].mutable_data<float>()) c *= 170;
    return inputs;
  };
  const QuantizedModel result = made_of(network, samples);
  EXPECT_LT(result.noise.output.ratio(), limit());
  ASSERT_FALSE(result.notes.empty());
}

TEST_P(RecurrentNetwork, AnInitialStateBeyondTheOthersIsHeld) {
  test::Network net;
  Tensor large(DType::Float32, {1, 1, kRnnHidden});
  large.mutable_data<float>()[0] = 2.5F;
  const auto y =
      net.nodes("GRU",
                {net.input("x", {6, 1, kRnnFeatures}),
                 net.random({1, 3 * kRnnHidden, kRnnFeatures}, -0.1F, 0.1F),
                 net.random({1, 3 * kRnnHidden, kRnnHidden}, -0.1F, 0.1F), kNone, kNone,
                 net.constant(std::move(large))},
                {{"hidden_size", kRnnHidden}, {"linear_before_reset", std::int64_t{1}}}, 1);
  EXPECT_LT(made_of(net.finish(y)).noise.output.ratio(), limit());
}

INSTANTIATE_TEST_SUITE_P(Chips, RecurrentNetwork,
                         testing::Combine(testing::Values("esp32s3", "esp32p4", "esp32"),
                                          testing::Values("int8", "int16")),
                         [](const auto& parameter) {
                           return std::string(std::get<0>(parameter.param)) + "_" +
                                  std::get<1>(parameter.param);
                         });

TEST(RecurrentStates, OfALayerOf8BitsTheCellHas16) {
  const Graph network = rnn_network({.states = true});
  const QuantizedModel result =
      quantized_rnn(network, test::random_samples(network, 16, -1, 1), "esp32s3", "int8");
  EXPECT_EQ(result.model.find_value("h")->dtype, DType::Int8);
  EXPECT_EQ(result.model.find_value("cell")->dtype, DType::Int16);
  EXPECT_EQ(result.model.find_value("cell")->exponents,
            result.model.find_value("LSTM_out_2")->exponents)
      << "what a run puts out the next takes in";
  EXPECT_EQ(result.notes.size(), 2U);
}

TEST(RecurrentNotes, SayWhichLayerIsNoisyByItselfAndWhatHelps) {
  const auto notes_for = [](const char* op, DType dtype, double alone) {
    measure::NoiseReport report;
    report.layers = {{"rnn", op, "y", dtype, -7, {0.5, 1}, {alone, 1}}};
    return recurrent_noise_notes(report);
  };
  const auto narrow = notes_for("GRU", DType::Int8, 0.08),
             wide = notes_for("LSTM", DType::Int16, 6e-3);
  ASSERT_EQ(narrow.size(), 1U);
  EXPECT_NE(narrow[0].find("8 %"), std::string::npos);
  EXPECT_NE(narrow[0].find("layer.rnn.bits=16"), std::string::npos);
  ASSERT_EQ(wide.size(), 1U);
  EXPECT_NE(wide[0].find("0.9982"), std::string::npos);
  EXPECT_EQ(wide[0].find("bits=16"), std::string::npos);
  EXPECT_TRUE(notes_for("GRU", DType::Int8, 5e-3).empty());
  EXPECT_TRUE(notes_for("LSTM", DType::Int16, 5e-4).empty());
  EXPECT_TRUE(notes_for("Gemm", DType::Int8, 0.5).empty());
}

}  // namespace
}  // namespace espquant::strategy
