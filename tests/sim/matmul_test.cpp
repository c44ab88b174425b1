#include <gtest/gtest.h>

#include <algorithm>

#include "espdl/filter_layout.h"
#include "sim/program.h"
#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

using Bytes = std::vector<std::int8_t>;

TEST(Gemm, MultipliesRowsAndAddsTheBias) {
  OneNode node("Gemm");
  node.input(int8({1, 2, 3, 4}, {2, 2}))
      .constant(int8({1, 2, 10, 20}, {1, 1, 2, 2}))  // below 16 channels: one after the other
      .constant(Tensor::of<std::int32_t>({2}, {1, -1}))
      .output(DType::Int8);
  EXPECT_EQ(node.result().shape(), (Shape{2, 2}));
  EXPECT_EQ(node.run<std::int8_t>(), (Bytes{6, 49, 12, 109}));
}

TEST(Gemm, KeepsOuterDimensions) {
  OneNode node("Gemm");
  node.input(int8({1, 2, 3, 4}, {2, 1, 2}))
      .constant(int8({1, 1, 1, 1, 1, 1}, {1, 1, 2, 3}))
      .output(DType::Int8);
  EXPECT_EQ(node.result().shape(), (Shape{2, 1, 3}));
}

TEST(Gemm, RefusesWhatTheRuntimeAssertsAgainst) {
  const auto gemm = [] {
    OneNode node("Gemm");
    node.input(int8({1, 2}, {1, 2})).constant(int8({1, 2}, {1, 1, 2, 1})).output(DType::Int8);
    return node;
  };
  EXPECT_EQ(gemm().run<std::int8_t>(), Bytes{5});
  EXPECT_THROW(gemm().attribute("transB", std::int64_t{1}).result(), Error);
  EXPECT_THROW(gemm().attribute("alpha", 2.0F).result(), Error);
  EXPECT_THROW(OneNode("Gemm")
                   .input(int8({1, 2, 3}, {1, 3}))
                   .constant(int8({1, 2}, {1, 1, 2, 1}))
                   .output(DType::Int8)
                   .result(),
               Error);
}

/// [K][N] in the order of the chip.
Tensor packed(std::initializer_list<int> values, std::int64_t k, std::int64_t n) {
  const std::vector<std::int64_t> swap = {1, 0};
  const Tensor logical = int8(values, {k, n}).transposed(swap).reshaped({n, 1, 1, k});
  return espdl::pack_filter(logical, false, 16).reshaped({k, n});
}

TEST(MatMul, MultipliesByAConstantOrAVariable) {
  const Tensor a = int8({1, 2, 3, 4}, {2, 2}), b = packed({1, 2, 3, 4}, 2, 2);
  EXPECT_EQ(OneNode("MatMul").input(a).constant(b).output(DType::Int8).run<std::int8_t>(),
            (Bytes{7, 10, 15, 22}));
  EXPECT_EQ(OneNode("MatMul").input(a).input(b).output(DType::Int8).run<std::int8_t>(),
            (Bytes{7, 10, 15, 22}));
}

TEST(MatMul, BroadcastsBatches) {
  const Tensor a = int8({1, 0, 0, 1, 2, 0, 0, 2}, {2, 2, 2});
  const Tensor b = packed({1, 2, 3, 4}, 2, 2);
  OneNode node("MatMul");
  node.input(a).constant(b.reshaped({1, 1, 2, 2})).output(DType::Int8);
  EXPECT_EQ(node.result().shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(node.run<std::int8_t>(), (Bytes{1, 2, 3, 4, 2, 4, 6, 8}));
}

TEST(MatMul, TakesVectors) {
  OneNode dot("MatMul");
  dot.input(int8({1, 2, 3})).input(int8({4, 5, 6})).output(DType::Int8);
  EXPECT_EQ(dot.result().shape(), (Shape{1}));
  EXPECT_EQ(dot.run<std::int8_t>(), Bytes{32});
  OneNode row("MatMul");
  row.input(int8({1, 2})).input(packed({1, 2, 3, 4}, 2, 2)).output(DType::Int8);
  EXPECT_EQ(row.result().shape(), (Shape{2}));
  EXPECT_EQ(row.run<std::int8_t>(), (Bytes{7, 10}));
}

OneNode native(Tensor a, Tensor b, DType dtype, int exponent = 0) {
  OneNode node("MatMul");
  node.input(std::move(a)).input(std::move(b)).output(dtype, exponent);
  node.attribute("input1_layout", std::string("native_kn"));
  return node;
}

TEST(MatMulNative, TakesTheSecondOperandRowByRow) {
  const Tensor a = int8({1, 2, 3, 4}, {2, 2}), b = int8({1, 2, 3, 4}, {2, 2});
  for (const char* target : {"esp32s3", "esp32p4", "esp32c3"})
    EXPECT_EQ(native(a, b, DType::Int8).run<std::int8_t>(target), (Bytes{7, 10, 15, 22}));
  EXPECT_EQ(native(int8({1, 2, 3}), int8({4, 5, 6}), DType::Int8).run<std::int8_t>(), Bytes{32});
  OneNode relu = native(a, int8({-1, 2, -3, 4}, {2, 2}), DType::Int8);
  EXPECT_EQ(relu.attribute("activation", std::string("Relu")).run<std::int8_t>(),
            (Bytes{0, 10, 0, 22}));
}

/// 40 products of 127 * 127 exceed the S3's 20 bits; the last of 17 columns fills no vector.
TEST(MatMulNative, OnlyColumnsThatFillVectorsClipOnTheS3) {
  const auto full = [](Shape shape) {
    Tensor t(DType::Int8, std::move(shape));
    std::ranges::fill(t.mutable_data<std::int8_t>(), std::int8_t{127});
    return t;
  };
  const auto ends = [&](std::int64_t columns, int shift, const char* target) {
    const auto y =
        native(full({1, 40}), full({40, columns}), DType::Int8, shift).run<std::int8_t>(target);
    return std::pair<int, int>{y.front(), y.back()};
  };
  EXPECT_EQ(ends(17, 13, "esp32s3"), (std::pair{64, 79}));
  EXPECT_EQ(ends(15, 13, "esp32s3"), (std::pair{79, 79}));
  EXPECT_EQ(ends(17, 13, "esp32p4"), (std::pair{79, 79}));
}

TEST(MatMulNative, RoundsAsTheChipAndShiftsLeft) {
  const Tensor a = int8({5, 5}, {1, 2}), b = int8({1, 0}, {2, 1});
  EXPECT_EQ(native(a, b, DType::Int8, 1).run<std::int8_t>("esp32s3"), Bytes{3});
  EXPECT_EQ(native(a, b, DType::Int8, 1).run<std::int8_t>("esp32p4"), Bytes{2});
  for (const char* target : {"esp32s3", "esp32p4", "esp32"}) {
    EXPECT_EQ(native(a, b, DType::Int8, -2).run<std::int8_t>(target), Bytes{20});
    EXPECT_EQ(native(a, b, DType::Int8, -6).run<std::int8_t>(target), Bytes{127});
  }
}

TEST(MatMulNative, IsRefusedBelowItsRelease) {
  const OneNode node = native(int8({1}, {1, 1}), int8({1}, {1, 1}), DType::Int8);
  const Target& old = find_target("esp32s3").under(find_release("3.3.9"));
  const Error error = error_of([&] { node.run<std::int8_t>(old); });
  EXPECT_NE(std::string(error.what()).find("3.3.14"), std::string::npos) << error.what();
  OneNode other("MatMul");
  other.input(int8({1}, {1, 1})).input(int8({1}, {1, 1})).output(DType::Int8);
  EXPECT_THROW(other.attribute("input1_layout", std::string("kn")).result(), Error);
}

TEST(MatMul, RefusesInnerExtentsThatDiffer) {
  OneNode node("MatMul");
  node.input(int8({1, 2, 3}, {1, 3})).input(int8({1, 2}, {2, 1})).output(DType::Int8);
  EXPECT_THROW(node.result(), Error);
}

}  // namespace
}  // namespace espquant::test
