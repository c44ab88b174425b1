#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

constexpr int kTableIn = -4, kTableOut = -6;

espdl::Model activation(const std::string& op, const char* target = "esp32s3", int bits = 8,
                        const test::AttributeList& attributes = {}) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, kTableIn, bits);
  return test::lowered(net.finish({net.node(op, {x}, attributes, kTableOut, bits)}), target);
}

const espdl::Constant& table_of(const espdl::Model& model) {
  return *model.find_initializer(model.nodes.at(0).get_string("lut", ""));
}

/// f evaluated at each of the 256 integers, rounded to the output's.
std::vector<std::int8_t> evaluated(const std::function<double(double)>& f, bool half_even) {
  std::vector<std::int8_t> table;
  for (int q = -128; q < 128; ++q) {
    const double y = std::ldexp(f(std::ldexp(q, kTableIn)), -kTableOut);
    const double rounded = half_even ? std::nearbyint(y) : std::floor(y + 0.5);
    table.push_back(static_cast<std::int8_t>(std::clamp(rounded, -128.0, 127.0)));
  }
  return table;
}

struct Function {
  const char* op;
  std::function<double(double)> f;
};

TEST(LowerTable, HoldsTheFunctionAtEveryInteger) {
  const std::vector<Function> functions = {
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"Tanh", [](double x) { return std::tanh(x); }},
      {"Relu", [](double x) { return std::max(x, 0.0); }},
      {"LeakyRelu", [](double x) { return x < 0 ? 0.0625 * x : x; }},
      {"HardSigmoid", [](double x) { return std::clamp(0.25 * x + 0.5, 0.0, 1.0); }},
  };
  for (const auto& [op, f] : functions) {
    test::AttributeList given;
    if (std::string(op) == "LeakyRelu") given = {{"alpha", 0.0625F}};
    if (std::string(op) == "HardSigmoid") given = {{"alpha", 0.25F}, {"beta", 0.5F}};
    for (const char* target : {"esp32s3", "esp32p4", "esp32c3"}) {
      const auto model = activation(op, target, 8, given);
      EXPECT_EQ(model.nodes[0].op, op);
      EXPECT_EQ(table_of(model).exponent(), kTableOut);
      EXPECT_EQ(test::elements_of<std::int8_t>(table_of(model).data),
                evaluated(f, std::string(target) == "esp32p4"))
          << op << " on " << target;
    }
  }
}

/// As the chip converts what is no number (docs/simulator.md).
TEST(LowerTable, ARootOfANegativeNumberIsTheLargestInteger) {
  for (const char* target : {"esp32s3", "esp32p4", "esp32c3"}) {
    const auto table = test::elements_of<std::int8_t>(table_of(activation("Sqrt", target)).data);
    EXPECT_EQ(table.front(), 127) << target;
    EXPECT_EQ(table.at(127), 127) << target;
    EXPECT_EQ(table.at(128), 0) << target;
  }
}

TEST(LowerTable, AClipKeepsItsBoundsBesideItsTable) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, kTableIn);
  const ValueId low = net.constant(Tensor::scalar(-1.0F), kTableIn);
  const ValueId high = net.constant(Tensor::scalar(1.5F), kTableIn);
  const auto model = test::lowered(net.finish({net.node("Clip", {x, low, high}, {}, kTableOut)}));
  const auto& clip = test::the_node(model, "Clip");
  EXPECT_EQ(test::constant_of(model, clip, 1).data.data<std::int8_t>()[0], -16);
  EXPECT_EQ(test::constant_of(model, clip, 2).data.data<std::int8_t>()[0], 24);
  EXPECT_EQ(test::elements_of<std::int8_t>(table_of(model).data),
            evaluated([](double x_value) { return std::clamp(x_value, -1.0, 1.5); }, false));
}

// In steps of 4 there is no 1.5.
TEST(LowerTable, At16BitsAClipOfCoarseStepsReadsFinerOnes) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, 2, 16);
  const ValueId low = net.constant(Tensor::scalar(-1.0F), -14, 16);
  const ValueId high = net.constant(Tensor::scalar(1.5F), -14, 16);
  const auto model = test::lowered(net.finish({net.node("Clip", {x, low, high}, {}, -14, 16)}));
  ASSERT_EQ(model.nodes.size(), 2U);
  EXPECT_EQ(model.nodes[0].op, "RequantizeLinear");
  EXPECT_EQ(model.find_value(model.nodes[0].outputs[0])->exponents, std::vector<int>{-14});
  EXPECT_EQ(test::constant_of(model, model.nodes[1], 2).data.data<std::int16_t>()[0], 24576);
}

TEST(LowerTable, AFunctionThatTheRuntimeDoesNotNameBecomesALut) {
  const auto model = activation("Softplus");
  EXPECT_EQ(model.nodes[0].op, "LUT");
  EXPECT_EQ(model.nodes[0].get_string("original_op_type", ""), "Softplus");
  EXPECT_EQ(test::elements_of<std::int8_t>(table_of(model).data),
            evaluated([](double x) { return std::log1p(std::exp(x)); }, false));
}

TEST(LowerTable, EveryFunctionOfOneElementIsALut) {
  const std::vector<Function> functions = {
      {"Atan", [](double x) { return std::atan(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Cos", [](double x) { return std::cos(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Round", [](double x) { return std::nearbyint(x); }},
      {"Shrink", [](double x) { return std::abs(x) > 0.5 ? x : 0.0; }},
      {"Sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : 0.0; }},
      {"Sin", [](double x) { return std::sin(x); }},
      {"Softsign", [](double x) { return x / (1 + std::abs(x)); }},
      {"ThresholdedRelu", [](double x) { return x > 1 ? x : 0.0; }},
  };
  for (const auto& [op, f] : functions) {
    const auto model = activation(op);
    EXPECT_EQ(model.nodes[0].op, "LUT");
    EXPECT_EQ(test::elements_of<std::int8_t>(table_of(model).data), evaluated(f, false)) << op;
  }
}

TEST(LowerTable, BeyondItsDomainAFunctionKeepsTheLastValueWithin) {
  const auto table = test::elements_of<std::int8_t>(table_of(activation("Acos")).data);
  // At 1 (16 * 2^-4) the arc cosine is 0, at -1 it is pi.
  EXPECT_EQ(table.at(127 + 128), 0);
  EXPECT_EQ(table.at(0), table.at(128 - 16));
}

TEST(LowerTable, At16BitsNamedFunctionsAreComputedByTheChip) {
  const auto model = activation("Sigmoid", "esp32s3", 16);
  EXPECT_EQ(model.nodes[0].op, "Sigmoid");
  EXPECT_FALSE(model.nodes[0].has("lut"));
}

espdl::Model softplus(double table_error) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, -11, 16);
  const ValueId y = net.node("Softplus", {x}, {}, -11, 16);
  return lower(net.finish({y}), find_target("esp32s3"), {.table_error = table_error}).model;
}

TEST(LowerTable, At16BitsALutIsAsFineAsItsErrorAsksFor) {
  const auto coarse = softplus(1e-2), usual = softplus(5e-6);
  EXPECT_EQ(coarse.nodes[0].get_int("int16_lut_step", 0), 256);
  EXPECT_EQ(table_of(coarse).data.size(), 257);
  const std::int64_t step = usual.nodes[0].get_int("int16_lut_step", 0);
  EXPECT_GT(step, 1);
  EXPECT_LT(step, 256);
  const auto table = test::elements_of<std::int16_t>(table_of(usual).data);
  ASSERT_EQ(static_cast<std::int64_t>(table.size()), 65536 / step + 1);
  EXPECT_EQ(table[table.size() / 2], std::lround(std::ldexp(std::log(2.0), 11))) << "at zero";
  EXPECT_EQ(table.back(), 32767) << "at the first number beyond the integers";
}

// Every second entry of a sign: S3 takes the one above, so that only -1 becomes 0; the P4 takes the
// even one, and +1 becomes 0, too.
TEST(LowerTable, At16BitsALutIsAsFineAsTheRoundingOfTheChipAsksFor) {
  const auto step_for = [](const char* target) {
    QuantizedNetwork net;
    const ValueId x = net.input("x", {1, 8}, -11, 16);
    const ValueId y = net.node("Sign", {x}, {}, -14, 16);
    const auto made = lower(net.finish({y}), find_target(target), {.table_error = 1.5 / 8190});
    return made.model.nodes[0].get_int("int16_lut_step", 0);
  };
  EXPECT_EQ(step_for("esp32s3"), 2);
  EXPECT_EQ(step_for("esp32p4"), 1);
}

TEST(LowerTable, AFunctionWithAPoleKeepsItsEntries) {
  EXPECT_EQ(activation("Reciprocal", "esp32s3", 16).nodes[0].get_int("int16_lut_step", 0), 1);
}

TEST(LowerTable, EqualTablesAreStoredOnce) {
  for (const int bits : {8, 16}) {
    QuantizedNetwork net;
    const ValueId x = net.input("x", {1, 8}, kTableIn, bits);
    const ValueId a = net.node("Softplus", {x}, {}, kTableIn, bits);
    const ValueId b = net.node("Softplus", {a}, {}, kTableIn, bits);
    const ValueId c = net.node("Softplus", {b}, {}, kTableIn + 1, bits);
    const auto model = test::lowered(net.finish({c}));
    ASSERT_EQ(model.nodes.size(), 3U);
    EXPECT_EQ(model.nodes[0].get_string("lut", ""), model.nodes[1].get_string("lut", "-"));
    EXPECT_NE(model.nodes[0].get_string("lut", ""), model.nodes[2].get_string("lut", ""));
    EXPECT_EQ(model.initializers.size(), 2U);
  }
}

TEST(LowerTable, At16BitsSeluAndAbsNeedNone) {
  const auto selu = activation("Selu", "esp32s3", 16);
  EXPECT_EQ(test::operators_of(selu), (std::vector<std::string>{"Elu", "Mul"}));
  EXPECT_FALSE(selu.nodes[0].has("lut"));
  const auto abs = activation("Abs", "esp32s3", 16);
  EXPECT_EQ(test::operators_of(abs), std::vector<std::string>{"LeakyRelu"});
  EXPECT_EQ(abs.nodes[0].get_float("alpha", 0), -1);
}

TEST(LowerTable, WithoutErrorA16BitLutHasAnEntryPerInteger) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, kTableIn, 16);
  const Graph graph = net.finish({net.node("Softplus", {x}, {}, kTableOut, 16)});
  const auto model = lower(graph, find_target("esp32s3"), {.table_error = 0}).model;
  ASSERT_EQ(model.nodes[0].op, "LUT");
  EXPECT_EQ(model.nodes[0].get_int("int16_lut_step", 0), 1);
  const auto table = test::elements_of<std::int16_t>(table_of(model).data);
  ASSERT_EQ(table.size(), 65536U);
  EXPECT_EQ(table[32768], std::lround(std::ldexp(std::log(2.0), -kTableOut))) << "at zero";
}

TEST(LowerTable, RefusesAChangeOfWidth) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 8}, kTableIn, 8);
  const Graph graph = net.finish({net.node("Sigmoid", {x}, {}, kTableOut, 16)});
  const auto error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Sigmoid");
}

}  // namespace
}  // namespace espquant::lower
