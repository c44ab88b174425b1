#include <gtest/gtest.h>

#include <cmath>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

// ESP-DL 3.12. Entry q + 128 is the result of q.
TEST(Lut, Int8ReadsTheTableOfTheNode) {
  Tensor table(DType::Int8, {256});
  table.mutable_data<std::int8_t>()[0] = 11;
  table.mutable_data<std::int8_t>()[128] = 22;
  table.mutable_data<std::int8_t>()[255] = 33;
  for (const char* op : {"LUT", "Gelu", "Sigmoid", "Clip", "PRelu", "Relu"})
    EXPECT_EQ(OneNode(op)
                  .input(int8({-128, 0, 127}, {1, 1, 1, 3}), -2)
                  .lut(table, -5)
                  .output(DType::Int8, -5)
                  .run<std::int8_t>(),
              (Ints8{11, 22, 33}))
        << op;
}

/// 65536 / 32768 + 1 = 3 points: -32768, 0, 32768.
OneNode three_points(std::initializer_list<int> inputs) {
  return std::move(
      OneNode("LUT").input(int16(inputs), -8).lut(int16({-7, 0, 7}), -8).output(DType::Int16, -8));
}

TEST(Lut, Int16TakesTheNearestPoint) {
  const auto inputs = {-32768, -16385, -16384, 16383, 16384, 32767};
  EXPECT_EQ(three_points(inputs).run<std::int16_t>("esp32s3"), (Ints16{-7, -7, 0, 0, 7, 7}));
  // Half-even goes down to point 0 and up to point 2.
  EXPECT_EQ(three_points(inputs).run<std::int16_t>("esp32p4"), (Ints16{-7, -7, -7, 0, 7, 7}));
  EXPECT_EQ(
      three_points(inputs).options({.p4_portable_kernels = true}).run<std::int16_t>("esp32p4"),
      (Ints16{-7, -7, 0, 0, 7, 7}));
}

TEST(Lut, RefusesWhatTheRuntimeAsserts) {
  const auto lut = [](Tensor table, int exponent) {
    return error_of([&] {
             OneNode("LUT")
                 .input(int16({0}))
                 .lut(std::move(table), exponent)
                 .output(DType::Int16, -8)
                 .result();
           })
        .code();
  };
  EXPECT_EQ(lut(int16({1, 2, 3}), -7), ErrorCode::Illegal);     // exponent of the table
  EXPECT_EQ(lut(int16({1, 2, 3, 4}), -8), ErrorCode::Illegal);  // no power of two
  EXPECT_EQ(lut(int8({1, 2, 3}), -8), ErrorCode::Illegal);
  EXPECT_EQ(error_of([] { OneNode("LUT").input(int8({0})).output(DType::Int8).result(); }).code(),
            ErrorCode::Illegal);
  EXPECT_EQ(error_of([] {
              OneNode("LUT")
                  .input(int8({0}))
                  .attribute("lut", std::string("nowhere"))
                  .output(DType::Int8)
                  .result();
            }).code(),
            ErrorCode::Malformed);
}

struct Formula {
  const char* op;
  float (*f)(float);
};

class Formulas : public testing::TestWithParam<Formula> {};

/// Within one step of the exact value, for int8 and int16; the float path to the last bits.
TEST_P(Formulas, ComputeTheFunction) {
  const auto [op, f] = GetParam();
  const std::initializer_list<float> reals{0.125F, 0.5F, 1.75F, 3};
  const auto floats = OneNode(op).input(float32(reals)).output(DType::Float32).run<float>();
  const auto bytes =
      OneNode(op).input(int8({4, 16, 56, 96}), -5).output(DType::Int8, -2).run<std::int8_t>();
  const auto words = OneNode(op)
                         .input(int16({128, 512, 1792, 3072}), -10)
                         .output(DType::Int16, -9)
                         .run<std::int16_t>();
  std::size_t i = 0;
  for (float x : reals) {
    EXPECT_NEAR(floats[i], f(x), 1e-5F * std::fabs(f(x)) + 1e-6F);
    EXPECT_NEAR(bytes[i], f(x) * 4, 0.51F);
    EXPECT_NEAR(words[i], f(x) * 512, 0.52F);
    ++i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Formulas,
    testing::Values(
        Formula{"Sigmoid", [](float x) { return 1 / (1 + std::exp(-x)); }},
        Formula{"Tanh", [](float x) { return std::tanh(x); }},
        Formula{"Swish", [](float x) { return x / (1 + std::exp(-x)); }},
        Formula{"Exp", [](float x) { return std::exp(x); }},
        Formula{"Log", [](float x) { return std::log(x); }},
        Formula{"Sqrt", [](float x) { return std::sqrt(x); }},
        Formula{"Elu", [](float x) { return x; }}, Formula{"Relu", [](float x) { return x; }},
        Formula{"HardSigmoid", [](float x) { return std::fmin(0.2F * x + 0.5F, 1.0F); }},
        Formula{"HardSwish", [](float x) { return x * std::fmin(x / 6 + 0.5F, 1.0F); }}),
    [](const auto& formula) { return std::string(formula.param.op); });

TEST(Activation, NegativeSides) {
  const auto run = [](const char* op) {
    return OneNode(op)
        .input(int8({-64, -32, 32}), -5)
        .output(DType::Int8, -5)
        .attribute("alpha", 0.25F)
        .run<std::int8_t>();
  };
  EXPECT_EQ(run("LeakyRelu"), (Ints8{-16, -8, 32}));
  EXPECT_EQ(run("Elu"), (Ints8{-7, -5, 32}));  // 0.25 (e^-2 - 1), 0.25 (e^-1 - 1)
  EXPECT_EQ(run("Relu"), (Ints8{0, 0, 32}));
}

TEST(Activation, ReluChangesTheExponent) {
  EXPECT_EQ(OneNode("Relu").input(int8({-4, 5, 7}), -3).output(DType::Int8, -2).run<std::int8_t>(),
            (Ints8{0, 3, 4}));
  EXPECT_EQ(OneNode("Relu")
                .input(int8({-4, 5, 7}), -3)
                .output(DType::Int8, -2)
                .run<std::int8_t>("esp32p4"),
            (Ints8{0, 2, 4}));
}

TEST(Activation, RefusesExponentsBeyondThe32BitShift) {
  EXPECT_EQ(
      error_of([] { OneNode("Exp").input(int8({1}), -31).output(DType::Int8, 0).result(); }).code(),
      ErrorCode::Illegal);
}

TEST(Neg, TheLeastBecomesTheGreatest) {
  EXPECT_EQ(OneNode("Neg").input(int8({-128, 5, 0})).output(DType::Int8).run<std::int8_t>(),
            (Ints8{127, -5, 0}));
  EXPECT_EQ(OneNode("Neg").input(float32({2})).output(DType::Float32).run<float>(), (Floats{-2}));
}

TEST(Clip, ClipsIntegersAndChangesTheExponent) {
  EXPECT_EQ(OneNode("Clip")
                .input(int8({-10, 3, 50}), -3)
                .constant(int8({0}), -3)
                .constant(int8({48}), -3)
                .output(DType::Int8, -2)
                .run<std::int8_t>(),
            (Ints8{0, 2, 24}));
}

TEST(Clip, WithoutLimitsAssigns) {
  EXPECT_EQ(OneNode("Clip").input(int8({3}), -3).output(DType::Int8, -4).run<std::int8_t>(),
            (Ints8{6}));
}

TEST(Clip, FaultsOfItsLimits) {
  EXPECT_EQ(OneNode("Clip")
                .input(int8({1}), -3)
                .constant(int8({0}), -2)
                .constant(int8({1}), -3)
                .output(DType::Int8, -3)
                .faults(),
            (std::vector<std::string>{"clip-limits-ignore-exponents"}));
  const auto without_minimum = OneNode("Clip")
                                   .input(float32({-1, 2, 9}))
                                   .absent()
                                   .constant(float32({6}))
                                   .output(DType::Float32);
  EXPECT_EQ(without_minimum.run<float>(), (Floats{std::numeric_limits<float>::min(), 2, 6}));
  EXPECT_EQ(without_minimum.faults(), (std::vector<std::string>{"clip-float-without-minimum"}));
}

/// Two pixels of two channels; slopes 2^-1 and 3 * 2^-1 (exponent -1).
OneNode prelu(Tensor input, Tensor alpha, int in, int out, DType dtype) {
  return std::move(OneNode("PRelu")
                       .input(std::move(input), in)
                       .constant(std::move(alpha), -1)
                       .output(dtype, out));
}

/// Square roots of -4, -1, 0, 4; logarithms of -1, 0, 1; what is no number becomes the largest
/// integer on every family, minus infinity the least.
TEST(Unary, NumbersThatAreNoneBecomeTheEnds) {
  for (const char* target : {"esp32s3", "esp32p4", "esp32c3", "esp32"}) {
    EXPECT_EQ(
        OneNode("Sqrt").input(int8({-4, -1, 0, 4})).output(DType::Int8).run<std::int8_t>(target),
        (Ints8{127, 127, 0, 2}));
    EXPECT_EQ(
        OneNode("Sqrt").input(int16({-4, -1, 0, 4})).output(DType::Int16).run<std::int16_t>(target),
        (Ints16{32767, 32767, 0, 2}));
    EXPECT_EQ(
        OneNode("Log").input(int16({-1, 0, 1})).output(DType::Int16).run<std::int16_t>(target),
        (Ints16{32767, -32768, 0}));
  }
}

TEST(PRelu, Int8OfEachFamily) {
  const auto node =
      prelu(int8({-5, -5, 9, 0}, {1, 1, 2, 2}), int8({1, 3}, {2, 1, 1}), 0, 0, DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3"), (Ints8{-2, -7, 9, 0}));  // half-up
  EXPECT_EQ(node.run<std::int8_t>("c"), (Ints8{-3, -8, 9, 0}));        // floor
}

TEST(PRelu, RescalesThePositiveSideByKernelAndRelease) {
  const auto node = prelu(int8({-4, 9}, {1, 1, 1, 2}), int8({4, 4}, {2, 1, 1}), 0, 1, DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3"), (Ints8{-4, 5}));
  EXPECT_TRUE(node.faults("esp32s3").empty());
  EXPECT_EQ(node.run<std::int8_t>("esp32p4"), (Ints8{-4, 4}));
  EXPECT_TRUE(node.faults("esp32p4").empty());
  const Target& old = find_target("c").under(find_release("3.3.9"));
  EXPECT_EQ(node.run<std::int8_t>(old), (Ints8{-4, 9}));
  EXPECT_EQ(node.faults(old), (std::vector<std::string>{"prelu-int8-ignores-exponent"}));
  EXPECT_EQ(node.run<std::int8_t>("c"), (Ints8{-4, 5}));
  EXPECT_EQ(node.faults("c"), (std::vector<std::string>{"prelu-rounding-unknown"}));
}

TEST(PRelu, TheNewPortableKernelSaturatesTheWayUp) {
  const auto node =
      prelu(int8({-4, 9, 99, 1}, {1, 1, 2, 2}), int8({2, 2}, {2, 1, 1}), 0, -1, DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>("c"), (Ints8{-8, 18, 127, 2}));
  EXPECT_TRUE(node.faults("c").empty());
}

TEST(PRelu, SaysWhereTheP4sNegativeSideMayRoundOtherwise) {
  const auto faults = [](int alpha) {
    return prelu(int8({-4, 9}, {1, 1, 1, 2}), int8({4, alpha}, {2, 1, 1}), 0, 0, DType::Int8)
        .faults("esp32p4");
  };
  EXPECT_EQ(faults(3), (std::vector<std::string>{"prelu-rounding-unknown"}));
  EXPECT_TRUE(faults(-2).empty());
}

TEST(PRelu, Int16FloorsAndOnTheS3Wraps) {
  const auto node =
      prelu(int16({-5, -32768, 9, 1}, {1, 1, 2, 2}), int16({1, 3}, {2, 1, 1}), 0, 0, DType::Int16);
  EXPECT_EQ(node.run<std::int16_t>("esp32s3"), (Ints16{-3, 16384, 9, 1}));  // -49152 in 16 bits
  EXPECT_EQ(node.run<std::int16_t>("c"), (Ints16{-3, -32768, 9, 1}));
}

TEST(PRelu, Int16IgnoresTheExponentOfThePositiveSide) {
  EXPECT_EQ(
      prelu(int16({8, 8}, {1, 1, 1, 2}), int16({1, 3}, {2, 1, 1}), 0, 1, DType::Int16).faults(),
      (std::vector<std::string>{"prelu-int16-ignores-exponent"}));
}

TEST(PRelu, Int16TakesTheFirstSlopeUnlessTheFirstAxisIsTheChannels) {
  const auto node =
      prelu(int16({-4, -4}, {1, 1, 1, 2}), int16({1, 3}, {1, 1, 2}), 0, 0, DType::Int16);
  EXPECT_EQ(node.run<std::int16_t>(), (Ints16{-2, -2}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"prelu-int16-takes-first-slope"}));
}

TEST(PRelu, ShiftsLeftOnThePortableKernelsOnly) {
  const auto node = prelu(int8({-5, 9}, {1, 1, 1, 2}), int8({1, 1}, {2, 1, 1}), 0, -3, DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>("c"), (Ints8{-20, 72}));
  EXPECT_EQ(error_of([&] { node.result("esp32s3"); }).code(), ErrorCode::Illegal);
}

TEST(PRelu, RefusesSlopesThatTheRuntimeReadsBeyond) {
  EXPECT_EQ(error_of([] {
              prelu(int8({1, 2}, {1, 1, 1, 2}), int8({1}, {1, 1, 1}), 0, 0, DType::Int8).result();
            }).code(),
            ErrorCode::Illegal);
  EXPECT_EQ(error_of([] {
              prelu(int8({1, 2}, {1, 1, 1, 2}), int8({1, 2}, {2}), 0, 0, DType::Int8).result();
            }).code(),
            ErrorCode::Illegal);
}

}  // namespace
}  // namespace espquant::test
