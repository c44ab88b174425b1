#include <gtest/gtest.h>

#include "base/fixed_point.h"
#include "sim/program.h"
#include "tests/sim/one_node.h"

namespace espquant::test {
namespace {

using sim::TensorDesc;

template <typename To>
std::vector<To> assign(const Tensor& source, int from_exponent, int to_exponent,
                       std::string_view target) {
  Tensor result(dtype_of<To>, source.shape());
  sim::assign({source.dtype(), source.shape(), {from_exponent}}, source.bytes().data(),
              {result.dtype(), result.shape(), {to_exponent}}, result.mutable_bytes().data(),
              find_target(target));
  const auto elements = result.data<To>();
  return {elements.begin(), elements.end()};
}

/// The same element often enough for the vector kernels.
template <typename T>
Tensor repeated(int q, std::int64_t count = 64) {
  Tensor t(dtype_of<T>, {count});
  for (T& e : t.mutable_data<T>()) e = static_cast<T>(q);
  return t;
}

template <typename From, typename To>
int vector_result(int q, int shift, std::string_view target) {
  return assign<To>(repeated<From>(q), 0, shift, target)[0];
}

using Bytes = std::vector<std::int8_t>;
using Words = std::vector<std::int16_t>;

TEST(Assign, QuantizesFloatsWithTheTargetsRounding) {
  const Tensor x = float32({0.25F, 0.75F, -0.25F, -0.75F, 1000.0F, -1000.0F});
  EXPECT_EQ(assign<std::int8_t>(x, 0, -1, "esp32s3"), (Bytes{1, 2, 0, -1, 127, -128}));
  EXPECT_EQ(assign<std::int8_t>(x, 0, -1, "esp32p4"), (Bytes{0, 2, 0, -2, 127, -128}));
}

TEST(Assign, DequantizesExactly) {
  EXPECT_EQ(assign<float>(int16({3, -32768}), -2, 0, "esp32s3"),
            (std::vector<float>{0.75F, -8192.0F}));
}

TEST(Assign, ChangesWidthWithoutChangingTheExponent) {
  EXPECT_EQ(assign<std::int8_t>(int16({5, 300, -300}), -3, -3, "esp32s3"), (Bytes{5, 127, -128}));
  EXPECT_EQ(assign<std::int16_t>(int8({5, -128}), -3, -3, "esp32s3"), (Words{5, -128}));
}

TEST(Assign, SmallTensorsRequantizeByFloat) {
  EXPECT_EQ(assign<std::int8_t>(int8({3, -3, 127}), 0, 1, "esp32s3"), (Bytes{2, -1, 64}));
  EXPECT_EQ(assign<std::int8_t>(int8({3, -3, 5}), 0, 1, "esp32p4"), (Bytes{2, -2, 2}));
  // Even the shifts that the vector kernel gets wrong.
  EXPECT_EQ(assign<std::int8_t>(int8({1, -1, 0}), 0, -7, "esp32s3"), (Bytes{127, -128, 0}));
}

TEST(Assign, VectorsShiftRightWithTheTargetsRounding) {
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(5, 1, "esp32s3")), 3);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(5, 1, "esp32p4")), 2);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(-5, 1, "esp32s3")), -2);
  EXPECT_EQ((vector_result<std::int16_t, std::int8_t>(32767, 3, "esp32s3")), 127);
  EXPECT_EQ((vector_result<std::int16_t, std::int16_t>(1000, 3, "esp32s3")), 125);
}

/// ESP-DL 3.11 on one number, in 64 bits.
std::int64_t shifted(std::int64_t q, int shift, int register_bits, bool is_s3) {
  if (!is_s3) return round_shift(q, shift, Rounding::HalfEven);
  return ((q >> ((shift - 1) & ((1 << register_bits) - 1))) + 1) >> 1;
}

TEST(Assign, VectorsShiftEveryWordRightByEveryShift) {
  Tensor words(DType::Int16, {65536});
  for (std::size_t i = 0; i < 65536; ++i)
    words.mutable_data<std::int16_t>()[i] = static_cast<std::int16_t>(static_cast<int>(i) - 32768);
  for (const bool is_s3 : {true, false})
    for (int shift = 1; shift <= 40; ++shift) {
      const char* chip = is_s3 ? "esp32s3" : "esp32p4";
      const Bytes bytes = assign<std::int8_t>(words, 0, shift, chip);
      const Words again = assign<std::int16_t>(words, 0, shift, chip);
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const std::int64_t q = words.data<std::int16_t>()[i];
        ASSERT_EQ(bytes[i], saturate<std::int8_t>(shifted(q, shift, 5, is_s3))) << q << shift;
        ASSERT_EQ(again[i], saturate<std::int16_t>(shifted(q, shift, 6, is_s3))) << q << shift;
      }
    }
}

TEST(Assign, S3HoldsTheFactorOfALeftShiftInAByte) {
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(1, -6, "esp32s3")), 64);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(1, -7, "esp32s3")), -128);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(1, -8, "esp32s3")), 0);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(1, -7, "esp32p4")), 127);
  EXPECT_EQ((vector_result<std::int8_t, std::int8_t>(1, -7, "c")), 127);
}

TEST(Assign, S3WrapsInt16ToInt8LeftShiftsAt20Bits) {
  // 32767 * 16 = 2^19 - 16 still fits; 32767 * 32 leaves -32.
  EXPECT_EQ((vector_result<std::int16_t, std::int8_t>(32767, -4, "esp32s3")), 127);
  EXPECT_EQ((vector_result<std::int16_t, std::int8_t>(32767, -5, "esp32s3")), -32);
  EXPECT_EQ((vector_result<std::int16_t, std::int8_t>(32767, -5, "esp32p4")), 127);
}

TEST(Assign, LeftShiftsOfInt16SaturateUpToTheLargestFactorAndGoByFloatBeyond) {
  EXPECT_EQ((vector_result<std::int16_t, std::int16_t>(-3, -14, "esp32s3")), -32768);
  EXPECT_EQ((vector_result<std::int16_t, std::int16_t>(-3, -20, "esp32s3")), -32768);
  EXPECT_EQ((vector_result<std::int8_t, std::int16_t>(1, -15, "esp32s3")), -32768);
}

TEST(Assign, S3LeavesATailOfInt8ToInt16Unwritten) {
  const auto words = assign<std::int16_t>(repeated<std::int8_t>(10, 56), 0, -2, "esp32s3");
  EXPECT_EQ(words[47], 40);
  EXPECT_EQ(words[48], 0);
  EXPECT_EQ(assign<std::int16_t>(repeated<std::int8_t>(10, 64), 0, -2, "esp32s3")[63], 40);
  EXPECT_EQ(assign<std::int16_t>(repeated<std::int8_t>(10, 56), 0, -2, "esp32p4")[55], 40);
}

TEST(Assign, RequantizeReportsTheUnwrittenTail) {
  OneNode node("RequantizeLinear");
  node.input(repeated<std::int8_t>(1, 56)).output(DType::Int16, -2);
  EXPECT_EQ(node.faults("esp32s3"), std::vector<std::string>{"requantize-tail-unwritten"});
  EXPECT_TRUE(node.faults("esp32p4").empty());
}

TEST(Assign, RefusesWhatTensorBaseCannotConvert) {
  EXPECT_THROW(assign<std::int8_t>(int64({1}), 0, 0, "esp32s3"), Error);
  EXPECT_THROW(OneNode("RequantizeLinear").input(int64({1})).output(DType::Int8).result(), Error);
  Tensor two(DType::Int8, {2}), three(DType::Int8, {3});
  EXPECT_THROW(sim::assign({DType::Int8, {2}, {0}}, two.bytes().data(), {DType::Int8, {3}, {0}},
                           three.mutable_bytes().data(), find_target("c")),
               Error);
  const TensorDesc per_channel{DType::Int8, {2}, {-1, -2}};
  EXPECT_THROW(sim::assign(per_channel, two.bytes().data(), {DType::Int8, {2}, {-1}},
                           two.mutable_bytes().data(), find_target("esp32p4")),
               Error);
}

}  // namespace
}  // namespace espquant::test
