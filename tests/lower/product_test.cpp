#include <gtest/gtest.h>

#include <cmath>

#include "base/fixed_point.h"
#include "sim/program.h"
#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

constexpr int kProductIn = -4, kProductOut = -2;

Tensor small_integers(DType dtype, const Shape& shape, std::uint64_t seed) {
  Tensor t(dtype, shape);
  Random random(seed);
  for (std::int64_t i = 0; i < t.size(); ++i) {
    const auto v = static_cast<std::int64_t>(random.uniform(-9, 10));
    const auto s = static_cast<std::size_t>(i);
    if (dtype == DType::Int8)
      t.mutable_data<std::int8_t>()[s] = static_cast<std::int8_t>(v);
    else
      t.mutable_data<std::int16_t>()[s] = static_cast<std::int16_t>(v);
  }
  return t;
}

std::int64_t at(const Tensor& t, std::int64_t i) {
  const auto s = static_cast<std::size_t>(i);
  return t.dtype() == DType::Int8 ? t.data<std::int8_t>()[s] : t.data<std::int16_t>()[s];
}

struct Product {
  Shape a, b;
  /// Matrices of the result, each with those of the operands that it is the product of.
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
};

/// [pair][M][N], rounded as the chip does.
std::vector<std::int64_t> expected_of(const Product& p, const Tensor& a, const Tensor& b, int bits,
                                      Rounding rounding) {
  const std::int64_t m = p.a[p.a.size() - 2], k = p.a.back(), n = p.b.back();
  const std::int64_t limit = std::int64_t{1} << (bits - 1);
  std::vector<std::int64_t> result;
  for (const auto& [x, w] : p.pairs)
    for (std::int64_t row = 0; row < m; ++row)
      for (std::int64_t column = 0; column < n; ++column) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < k; ++i)
          sum += at(a, (x * m + row) * k + i) * at(b, (w * k + i) * n + column);
        const std::int64_t y = round_shift(sum, kProductOut - 2 * kProductIn, rounding);
        result.push_back(std::clamp(y, -limit, limit - 1));
      }
  return result;
}

class LowerProduct : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(LowerProduct, GivesTheChipItsFilterInOrder) {
  const auto [chip, bits] = GetParam();
  const Target& target = find_target(chip);
  const DType dtype = bits == 8 ? DType::Int8 : DType::Int16;
  for (const Product& p : {
           Product{{3, 5}, {5, 16}, {{0, 0}}},                      // whole blocks
           Product{{3, 5}, {5, 7}, {{0, 0}}},                       // less than a block
           Product{{2, 4, 6}, {2, 6, 37}, {{0, 0}, {1, 1}}},        // blocks and a rest
           Product{{1, 2, 3, 8}, {1, 2, 8, 32}, {{0, 0}, {1, 1}}},  // heads
           Product{{2, 3, 4}, {1, 4, 19}, {{0, 0}, {1, 0}}},        // one filter for all
       }) {
    QuantizedNetwork net;
    const ValueId a = net.input("a", p.a, kProductIn, bits),
                  b = net.input("b", p.b, kProductIn, bits);
    const espdl::Model model =
        test::lowered(net.finish({net.node("MatMul", {a, b}, {}, kProductOut, bits)}), chip);
    const sim::Program program(model, target);
    sim::Program::Frame frame(program);
    const Tensor x = small_integers(dtype, p.a, 1), w = small_integers(dtype, p.b, 2);
    frame.set(program.tensor_index("a"), x);
    frame.set(program.tensor_index("b"), w);
    frame.run();
    const Tensor y = frame.tensor(program.outputs()[0]);
    std::vector<std::int64_t> actual;
    for (std::int64_t i = 0; i < y.size(); ++i) actual.push_back(at(y, i));
    EXPECT_EQ(actual, expected_of(p, x, w, bits, target.rounding)) << to_string(p.b);
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, LowerProduct,
                         testing::Combine(testing::Values("esp32s3", "esp32p4", "esp32"),
                                          testing::Values(8, 16)),
                         [](const auto& parameter) {
                           return std::string(std::get<0>(parameter.param)) + "_" +
                                  std::to_string(std::get<1>(parameter.param));
                         });

TEST(LowerProduct, TheFirstOperandMayBeConstant) {
  QuantizedNetwork net;
  const Tensor w = Tensor::of<float>({2, 3}, std::vector<float>{1, -2, 0.5F, 0, 3, -1});
  const ValueId b = net.input("b", {3, 2}, kProductIn);
  const espdl::Model model = test::lowered(
      net.finish({net.node("MatMul", {net.constant(w, kProductIn), b}, {}, kProductOut)}));
  const sim::Program program(model, find_target("esp32s3"));
  sim::Program::Frame frame(program);
  const std::vector<std::int8_t> x{16, 32, -16, 0, 48, 16};  // 1, 2; -1, 0; 3, 1
  frame.set(program.inputs()[0], Tensor::of<std::int8_t>({3, 2}, x));
  frame.run();
  // 4.5, 2.5; -6, -1 in steps of a quarter.
  EXPECT_EQ(test::elements_of<std::int8_t>(frame.tensor(program.outputs()[0])),
            (std::vector<std::int8_t>{18, 10, -24, -4}));
}

/// Constants of the same integers as `t`.
Tensor real_of(const Tensor& t) {
  Tensor real(DType::Float32, t.shape());
  for (std::int64_t i = 0; i < t.size(); ++i)
    real.mutable_data<float>()[static_cast<std::size_t>(i)] =
        std::ldexp(static_cast<float>(at(t, i)), kProductIn);
  return real;
}

TEST_P(LowerProduct, PacksAConstantMatrixForEachEntryOfABatch) {
  const auto [chip, bits] = GetParam();
  const Target& target = find_target(chip);
  const DType dtype = bits == 8 ? DType::Int8 : DType::Int16;
  for (const Product& p : {Product{{2, 4, 6}, {2, 6, 37}, {{0, 0}, {1, 1}}},
                           Product{{2, 3, 4}, {2, 1, 4, 19}, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}}}) {
    const Tensor x = small_integers(dtype, p.a, 1), w = small_integers(dtype, p.b, 2);
    QuantizedNetwork net;
    const ValueId a = net.input("a", p.a, kProductIn, bits);
    const ValueId b = net.constant(real_of(w), kProductIn, bits);
    const espdl::Model model =
        test::lowered(net.finish({net.node("MatMul", {a, b}, {}, kProductOut, bits)}), chip);
    EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"MatMul"});
    const sim::Program program(model, target);
    sim::Program::Frame frame(program);
    frame.set(program.inputs()[0], x);
    frame.run();
    const Tensor y = frame.tensor(program.outputs()[0]);
    std::vector<std::int64_t> actual;
    for (std::int64_t i = 0; i < y.size(); ++i) actual.push_back(at(y, i));
    EXPECT_EQ(actual, expected_of(p, x, w, bits, target.rounding)) << to_string(p.b);
  }
}

TEST(LowerProduct, TakesVectorsAndAReluAsTheyAre) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {5, 3}, kProductIn), v = net.input("v", {3}, kProductIn);
  const ValueId y = net.node("MatMul", {a, v}, {}, kProductOut);
  const espdl::Model model = test::lowered(net.finish({net.node("Relu", {y}, {}, kProductOut)}));
  EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"MatMul"});
  EXPECT_EQ(model.nodes.front().get_string("activation", ""), "Relu");
  const sim::Program program(model, find_target("esp32s3"));
  sim::Program::Frame frame(program);
  const Tensor x = small_integers(DType::Int8, {5, 3}, 1), w = small_integers(DType::Int8, {3}, 2);
  frame.set(program.tensor_index("a"), x);
  frame.set(program.tensor_index("v"), w);
  frame.run();
  const auto plain = expected_of({{5, 3}, {3, 1}, {{0, 0}}}, x, w, 8, Rounding::HalfUp);
  std::vector<std::int8_t> expected;
  for (const std::int64_t q : plain)
    expected.push_back(static_cast<std::int8_t>(std::max<std::int64_t>(q, 0)));
  EXPECT_EQ(test::elements_of<std::int8_t>(frame.tensor(program.outputs()[0])), expected);
}

TEST(LowerComparison, PutsOutBoolsOfIntegersThatShareAnExponent) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 4}, -3), b = net.input("b", {1, 4}, -5);
  const ValueId less = net.node("Less", {a, b});
  const ValueId number = net.node("Cast", {less}, {{"to", std::int64_t{1}}});
  const espdl::Model model = test::lowered(net.finish({number}));
  EXPECT_EQ(test::operators_of(model), (std::vector<std::string>{"RequantizeLinear", "Less"}));
  EXPECT_EQ(test::value_of(model, model.outputs.front()).dtype, DType::Bool);
  const sim::Program program(model, find_target("esp32s3"));
  EXPECT_TRUE(program.faults().empty());
  sim::Program::Frame frame(program);
  frame.set(program.tensor_index("a"),
            Tensor::of<std::int8_t>({1, 4}, std::vector<std::int8_t>{1, 1, -2, 5}));
  frame.set(program.tensor_index("b"),
            Tensor::of<std::int8_t>({1, 4}, std::vector<std::int8_t>{8, 4, -4, 0}));
  frame.run();
  EXPECT_EQ(test::elements_of<bool>(frame.tensor(program.outputs()[0])),
            (std::vector<bool>{true, false, true, false}));
}

TEST(LowerComparison, RefusesOneThatTheNetworkReads) {
  QuantizedNetwork net;
  const ValueId a = net.input("a", {1, 4}), b = net.input("b", {1, 4});
  const ValueId number = net.node("Cast", {net.node("Less", {a, b})}, {{"to", std::int64_t{1}}});
  const Graph graph = net.finish({net.node("Mul", {number, a})});
  const auto error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Less");
  EXPECT_FALSE(error.remedy().empty());
}

TEST(LowerProduct, RefusesWhatTheChipCannotMultiply) {
  QuantizedNetwork deep;
  const ValueId a = deep.input("a", {1, 1, 1, 2, 2}), b = deep.input("b", {1, 1, 1, 2, 2});
  const Graph five_axes = deep.finish({deep.node("MatMul", {a, b})});
  EXPECT_EQ(test::error_of([&] { test::lowered(five_axes); }).code(), ErrorCode::Illegal);
  QuantizedNetwork fine;
  const ValueId x = fine.input("x", {2, 2}, kProductIn), y = fine.input("y", {2, 2}, kProductIn);
  const Graph left_shift = fine.finish({fine.node("MatMul", {x, y}, {}, 2 * kProductIn - 1)});
  EXPECT_EQ(test::error_of([&] { test::lowered(left_shift); }).code(), ErrorCode::Illegal);
}

}  // namespace
}  // namespace espquant::lower
