#include <gtest/gtest.h>

#include <random>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

Tensor random_tensor(DType dtype, Shape shape, unsigned seed) {
  std::mt19937 random(seed);
  Tensor t(DType::Int32, std::move(shape));
  for (auto& v : t.mutable_data<std::int32_t>()) v = static_cast<std::int32_t>(random());
  return t.cast(dtype);
}

// ESP-DL 3.8.
TEST(Add, Saturates) {
  const auto node = [](const char* op) {
    return OneNode(op)
        .input(int8({100, -100, 5}), -4)
        .input(int8({100, 100, -7}), -4)
        .output(DType::Int8, -4);
  };
  EXPECT_EQ(node("Add").run<std::int8_t>(), (Ints8{127, 0, -2}));
  EXPECT_EQ(node("Sub").run<std::int8_t>(), (Ints8{0, -128, 12}));
  EXPECT_TRUE(node("Add").faults().empty());
}

TEST(Add, Int16AndFloat) {
  EXPECT_EQ(OneNode("Add")
                .input(int16({32000, -5}))
                .input(int16({1000, 3}))
                .output(DType::Int16)
                .run<std::int16_t>(),
            (Ints16{32767, -2}));
  EXPECT_EQ(OneNode("Sub")
                .input(float32({1.5F, 2}))
                .input(float32({0.25F, 3}))
                .output(DType::Float32)
                .run<float>(),
            (Floats{1.25F, -1}));
}

TEST(Add, BroadcastsAlongInnerAndOuterAxes) {
  const Tensor result = OneNode("Add")
                            .input(int8({1, 2, 3, 4, 5, 6}, {2, 1, 3}))
                            .input(int8({10, 20}, {2, 1}))
                            .output(DType::Int8)
                            .result();
  EXPECT_EQ(result.shape(), (Shape{2, 2, 3}));
  EXPECT_TRUE(result.equals(int8({11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26}, {2, 2, 3})));
}

TEST(Add, IgnoresExponentsAndSaysSo) {
  const auto node =
      OneNode("Add").input(int8({1}), -3).input(int8({2}), -4).output(DType::Int8, -3);
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{3}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"exponents-ignored"}));
}

TEST(Add, RefusesWhatTheRuntimeDoesNotBroadcast) {
  const Error five_groups = error_of([] {
    OneNode("Add")
        .input(Tensor(DType::Int8, {2, 1, 2, 1, 2}))
        .input(Tensor(DType::Int8, {1, 2, 1, 2, 1}))
        .output(DType::Int8)
        .result();
  });
  EXPECT_EQ(five_groups.code(), ErrorCode::Illegal);
  EXPECT_EQ(five_groups.node(), "node");
  EXPECT_EQ(error_of([] {
              OneNode("Add")
                  .input(Tensor::scalar<std::int8_t>(1))
                  .input(Tensor::scalar<std::int8_t>(1))
                  .output(DType::Int8)
                  .result();
            }).code(),
            ErrorCode::Illegal);
  EXPECT_EQ(
      error_of([] {
        OneNode("Add").input(int8({1, 2})).input(int8({1, 2, 3})).output(DType::Int8).result();
      }).code(),
      ErrorCode::BadData);
  EXPECT_EQ(error_of([] {
              OneNode("Add").input(int8({1})).input(int16({1})).output(DType::Int8).result();
            }).code(),
            ErrorCode::Illegal);
}

// ESP-DL 3.9: 3 * 1 and 5 * 1 shifted by 1 are ties.
TEST(Mul, RoundsAsTheFamilyDoes) {
  const auto node =
      OneNode("Mul").input(int8({3, 5, -3, 127}), 0).constant(int8({1}), 0).output(DType::Int8, 1);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3"), (Ints8{2, 3, -1, 64}));
  EXPECT_EQ(node.run<std::int8_t>("esp32p4"), (Ints8{2, 2, -2, 64}));
  EXPECT_EQ(node.run<std::int8_t>("c"), (Ints8{2, 3, -1, 64}));
}

TEST(Mul, Int8IsTheShiftedProductOnEveryFamily) {
  const Tensor a = random_tensor(DType::Int8, {1000}, 1), b = random_tensor(DType::Int8, {1000}, 2);
  for (const char* target : {"esp32s3", "esp32p4", "c"})
    for (int shift : {0, 1, 7, 13, 20}) {
      const auto actual = OneNode("Mul")
                              .input(a, -5)
                              .input(b, -6)
                              .output(DType::Int8, shift - 11)
                              .run<std::int8_t>(target);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        const int product = a.data<std::int8_t>()[i] * b.data<std::int8_t>()[i];
        ASSERT_EQ(actual[i],
                  saturate<std::int8_t>(round_shift(product, shift, find_target(target).rounding)))
            << target << " shift " << shift << " at " << i;
      }
    }
}

// 32745 * 30631 lies one below a tie; as a float32 it is the tie.
TEST(Mul, Int16IsExactInVectorsOnly) {
  const auto first = [](std::int64_t row, const char* target, sim::Options options = {}) {
    std::vector<std::int16_t> values(static_cast<std::size_t>(row), 32745);
    return OneNode("Mul")
        .input(Tensor::of<std::int16_t>({row}, std::span<const std::int16_t>(values)), 0)
        .constant(int16({30631}), 0)
        .output(DType::Int16, 15)
        .options(options)
        .run<std::int16_t>(target)[0];
  };
  EXPECT_EQ(first(8, "esp32s3"), 30609);
  EXPECT_EQ(first(7, "esp32s3"), 30610);
  EXPECT_EQ(first(8, "c"), 30610);
  EXPECT_EQ(first(8, "esp32p4"), 30609);
  EXPECT_EQ(first(8, "esp32p4", {.p4_portable_kernels = true}), 30610);
}

TEST(Mul, SaysWhereThePortableKernelStandsForTheP4s) {
  const auto faults = [](std::int64_t row, sim::Options options) {
    return OneNode("Mul")
        .input(Tensor(DType::Int16, {row}))
        .input(Tensor(DType::Int16, {row}))
        .output(DType::Int16)
        .options(options)
        .faults("esp32p4");
  };
  EXPECT_EQ(faults(8, {.p4_portable_kernels = true}),
            (std::vector<std::string>{"p4-vector-kernel-differs"}));
  EXPECT_TRUE(faults(7, {.p4_portable_kernels = true}).empty());
  EXPECT_TRUE(faults(8, {}).empty());
}

TEST(Mul, RefusesALeftShiftInVectors) {
  const auto node = OneNode("Mul")
                        .input(Tensor(DType::Int8, {16}), -2)
                        .input(Tensor(DType::Int8, {16}), -2)
                        .output(DType::Int8, -6);
  EXPECT_EQ(error_of([&] { node.result("esp32s3"); }).code(), ErrorCode::Illegal);
  EXPECT_NO_THROW(node.result("c"));
}

// ESP-DL 3.10. k = 2^(e0 - e1 - e_out) = 4.
TEST(Div, RowsOverRows) {
  EXPECT_EQ(OneNode("Div")
                .input(int8({7, -7, 0, 5, -5}), -2)
                .input(int8({2, 2, 0, 0, 0}), -2)
                .output(DType::Int8, -2)
                .run<std::int8_t>(),
            (Ints8{14, -14, 0, 127, -128}));
}

TEST(Div, TableOfAConstantDivisor) {
  const auto node =
      OneNode("Div").input(int8({9, 0, -9}), 0).constant(int8({2}), 0).output(DType::Int8, 0);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3"), (Ints8{5, 0, -4}));
  EXPECT_EQ(node.run<std::int8_t>("esp32p4"), (Ints8{4, 0, -4}));
  EXPECT_TRUE(node.faults().empty());
}

TEST(Div, TableOfADividendTakesZeroOverZeroForTheLeast) {
  const auto node = OneNode("Div").constant(int8({0})).input(int8({0, 3})).output(DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{-128, 0}));
}

TEST(Div, TableOfAVariableIsThatOfTheFirstRun) {
  EXPECT_EQ(OneNode("Div").input(int8({9, 8})).input(int8({2})).output(DType::Int8).faults(),
            (std::vector<std::string>{"div-table-of-first-run"}));
}

TEST(Div, FloatMultipliesByTheReciprocalOfARowsDivisor) {
  const float third = static_cast<float>(1.0 / 3.0);
  EXPECT_EQ(
      OneNode("Div").input(float32({5, 7})).input(float32({3})).output(DType::Float32).run<float>(),
      (Floats{5 * third, 7 * third}));
}

TEST(Pow, ComputesInFloat) {
  EXPECT_EQ(OneNode("Pow")
                .input(int8({3, -2, 0}), -1)
                .constant(int8({2}), 0)
                .output(DType::Int8, -2)
                .run<std::int8_t>(),
            (Ints8{9, 4, 0}));
}

TEST(Mod, TakesTheSignOfTheDividendAndZeroForAZeroDivisor) {
  EXPECT_EQ(OneNode("Mod")
                .input(int8({7, -7, 7}))
                .input(int8({3, 3, 0}))
                .output(DType::Int8)
                .run<std::int8_t>(),
            (Ints8{1, -1, 0}));
}

// ESP-DL 3.15.
TEST(Compare, RawIntegers) {
  const auto compare = [](const char* op) {
    const Tensor result =
        OneNode(op).input(int8({1, 2, 3}), -1).input(int8({2}), -1).output(DType::Bool).result();
    const auto values = result.data<bool>();
    return std::vector<bool>(values.begin(), values.end());
  };
  EXPECT_EQ(compare("Equal"), (std::vector<bool>{false, true, false}));
  EXPECT_EQ(compare("Greater"), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(compare("GreaterOrEqual"), (std::vector<bool>{false, true, true}));
  EXPECT_EQ(compare("Less"), (std::vector<bool>{true, false, false}));
  EXPECT_EQ(compare("LessOrEqual"), (std::vector<bool>{true, true, false}));
}

TEST(Compare, RefusesFloats) {
  EXPECT_EQ(error_of([] {
              OneNode("Equal").input(float32({1})).input(float32({1})).output(DType::Bool).result();
            }).code(),
            ErrorCode::Illegal);
}

TEST(Operators, RefuseATypeThatQuantTypeContradicts) {
  EXPECT_EQ(error_of([] {
              OneNode("Add")
                  .input(int8({1}))
                  .input(int8({1}))
                  .output(DType::Int8)
                  .attribute("quant_type", std::string("S16"))
                  .result();
            }).code(),
            ErrorCode::Illegal);
}

TEST(Operators, RefuseAnOutputOfAnotherType) {
  EXPECT_EQ(error_of([] {
              OneNode("Add").input(int8({1})).input(int8({1})).output(DType::Int16).result();
            }).code(),
            ErrorCode::Illegal);
}

}  // namespace
}  // namespace espquant::test
