#include <gtest/gtest.h>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

using Integers = std::vector<std::int64_t>;

OneNode pool(const char* op, Tensor input, Integers kernel, Integers strides, Integers pads) {
  const DType dtype = input.dtype();
  return std::move(OneNode(op)
                       .input(std::move(input), -4)
                       .output(dtype, -4)
                       .attribute("kernel_shape", std::move(kernel))
                       .attribute("strides", std::move(strides))
                       .attribute("pads", std::move(pads)));
}

// 3x3 pixels of one channel: 1..9.
const Tensor kNine = int8({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});

TEST(MaxPool, LeavesPaddingOut) {
  const auto node = pool("MaxPool", int8({-5, -3, -4}, {1, 3, 1}), {2}, {1}, {1, 1});
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{-5, -3, -3, -4}));
}

TEST(MaxPool, StridesOverRowsAndColumns) {
  const Tensor result = pool("MaxPool", kNine, {2, 2}, {1, 1}, {0, 0, 0, 0}).result();
  EXPECT_TRUE(result.equals(int8({5, 6, 8, 9}, {1, 2, 2, 1})));
}

// ESP-DL 3.6: the whole kernel's area divides, at the borders too.
TEST(AveragePool, CountsThePadding) {
  const auto node = pool("AveragePool", int8({8, 8, 8}, {1, 3, 1}), {2}, {1}, {1, 1});
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{4, 8, 8, 4}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"average-pool-counts-padding"}));
}

TEST(AveragePool, RoundsAsTheFamilyDoes) {
  const auto node = pool("AveragePool", int8({2, 3, 3, 4}, {1, 2, 2, 1}), {1, 2}, {1, 1}, {});
  EXPECT_EQ(node.run<std::int8_t>("esp32s3"), (Ints8{3, 4}));
  EXPECT_EQ(node.run<std::int8_t>("esp32p4"), (Ints8{2, 4}));
}

TEST(AveragePool, ChannelsAndTypesAreIndependent) {
  const auto node =
      pool("AveragePool", int16({10, 1000, 20, 3000}, {1, 1, 2, 2}), {1, 2}, {1, 1}, {});
  EXPECT_EQ(node.run<std::int16_t>(), (Ints16{15, 2000}));
  EXPECT_EQ(pool("AveragePool", float32({1, 2}, {1, 2, 1}), {2}, {1}, {}).run<float>(),
            (Floats{1.5F}));
}

TEST(GlobalAveragePool, TakesTheWholeImage) {
  const Tensor result =
      OneNode("GlobalAveragePool").input(kNine, 0).output(DType::Int8, -2).result();
  EXPECT_TRUE(result.equals(int8({20}, {1, 1, 1, 1})));
}

TEST(Pool, NamesTheAttributesThatTheRuntimeIgnores) {
  auto node = pool("MaxPool", kNine, {2, 2}, {2, 2}, {});
  node.attribute("ceil_mode", std::int64_t{1}).attribute("dilations", Integers{2, 2});
  EXPECT_EQ(node.faults(),
            (std::vector<std::string>{"pool-ignores-dilations", "pool-ignores-ceil-mode"}));
}

TEST(Pool, RefusesWindowsThatLeaveTheInput) {
  const auto refused = [](Tensor input, Integers kernel, Integers strides, Integers pads) {
    return error_of([&] {
             pool("MaxPool", std::move(input), kernel, strides, pads).result();
           }).code() == ErrorCode::Illegal;
  };
  EXPECT_TRUE(refused(kNine, {2, 2}, {1, 1}, {2, 0, 0, 0}));  // nothing but padding
  EXPECT_TRUE(refused(kNine, {5, 5}, {1, 1}, {0, 0, 0, 0}));  // larger than the input
  EXPECT_TRUE(refused(kNine, {4, 1}, {2, 1}, {0, 0, 1, 0}));  // truncating division
  EXPECT_TRUE(refused(Tensor(DType::Int8, {2, 3, 3, 1}), {1, 1}, {1, 1}, {}));  // two images
  EXPECT_TRUE(refused(kNine, {2}, {1}, {}));
  EXPECT_TRUE(refused(float32({1}, {1, 1, 1, 1}), {1, 1}, {1, 1}, {}));  // no float MaxPool
}

}  // namespace
}  // namespace espquant::test
