#include <gtest/gtest.h>

#include <cmath>

#include "sim/newton.h"
#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

OneNode reduce(const char* op, Tensor input, int in, int out,
               std::initializer_list<std::int64_t> axes, bool keep = true) {
  const DType dtype = input.dtype();
  return std::move(OneNode(op)
                       .input(std::move(input), in)
                       .constant(int64(axes))
                       .output(dtype, out)
                       .attribute("keepdims", std::int64_t{keep ? 1 : 0}));
}

const Tensor kSix = int8({1, 2, 3, 4, 5, 6}, {2, 3});

// ESP-DL 3.17.
TEST(ReduceSum, EachAxisAndBoth) {
  EXPECT_TRUE(reduce("ReduceSum", kSix, 0, 0, {1}).result().equals(int8({6, 15}, {2, 1})));
  EXPECT_TRUE(reduce("ReduceSum", kSix, 0, 0, {0}, false).result().equals(int8({5, 7, 9})));
  EXPECT_TRUE(reduce("ReduceSum", kSix, 0, 0, {-1, 0}, false).result().equals(int8({21})));
}

TEST(ReduceSum, AlternatingAxes) {
  const Tensor input = counting(DType::Int8, {2, 2, 2, 2});
  EXPECT_EQ(reduce("ReduceSum", input, 0, 0, {1, 3}).run<std::int8_t>(), (Ints8{10, 18, 42, 50}));
  EXPECT_EQ(reduce("ReduceSum", input, 0, 0, {0, 2}).run<std::int8_t>(), (Ints8{20, 24, 36, 40}));
  EXPECT_EQ(reduce("ReduceSum", input, 0, 0, {0, 3}).run<std::int8_t>(), (Ints8{18, 26, 34, 42}));
  EXPECT_EQ(reduce("ReduceSum", input, 0, 0, {1, 2}).run<std::int8_t>(), (Ints8{12, 16, 44, 48}));
}

TEST(ReduceSum, ShiftsWithTheFamilysRoundingAndSaturates) {
  const Tensor input = int8({2, 3}, {1, 2});
  EXPECT_EQ(reduce("ReduceSum", input, 0, 1, {1}).run<std::int8_t>("esp32s3"), (Ints8{3}));
  EXPECT_EQ(reduce("ReduceSum", input, 0, 1, {1}).run<std::int8_t>("esp32p4"), (Ints8{2}));
  EXPECT_EQ(reduce("ReduceSum", input, 0, -6, {1}).run<std::int8_t>(), (Ints8{127}));
  EXPECT_EQ(reduce("ReduceSum", int16({20000, 20000}), 0, 0, {0}).run<std::int16_t>(),
            (Ints16{32767}));
}

TEST(Reduce, TheOtherFunctions) {
  const auto run = [](const char* op, int in, int out) {
    return reduce(op, int8({3, -4}), in, out, {0}).run<std::int8_t>()[0];
  };
  EXPECT_EQ(run("ReduceL1", 0, 0), 7);
  EXPECT_EQ(run("ReduceSumSquare", -1, -2), 25);
  EXPECT_EQ(run("ReduceL2", 0, -4), 80);
  EXPECT_EQ(run("ReduceMean", 0, -2), -2);
  EXPECT_EQ(run("ReduceMax", 0, 0), 3);
  EXPECT_EQ(run("ReduceMin", 0, 0), -4);
  EXPECT_EQ(run("ReduceProd", -1, -2), -12);
  EXPECT_EQ(run("ReduceLogSumExp", 0, -4),
            std::lround(16 * std::log(std::exp(3.0) + std::exp(-4.0))));
  EXPECT_EQ(reduce("ReduceLogSum", int8({3, 4}), 0, -4, {0}).run<std::int8_t>()[0],
            std::lround(16 * std::log(7.0)));
}

TEST(Reduce, FloatsAndInt16) {
  EXPECT_EQ(reduce("ReduceMean", float32({1, 2, 6}), 0, 0, {0}).run<float>(), (Floats{3}));
  EXPECT_EQ(reduce("ReduceL2", float32({3, 4}), 0, 0, {0}).run<float>(), (Floats{5}));
  EXPECT_EQ(reduce("ReduceProd", int16({100, 7}), 0, 0, {0}).run<std::int16_t>(), (Ints16{700}));
  EXPECT_EQ(reduce("ReduceMean", int16({100, 7}), 0, 0, {0}).run<std::int16_t>(), (Ints16{54}));
}

TEST(Reduce, WithoutAxesTakesAll) {
  EXPECT_EQ(OneNode("ReduceSum").input(kSix).output(DType::Int8).run<std::int8_t>(), (Ints8{21}));
}

TEST(Reduce, TakesAxesOfOldFilesFromTheAttribute) {
  EXPECT_EQ(OneNode("ReduceSum")
                .input(kSix)
                .output(DType::Int8)
                .attribute("axes", std::vector<std::int64_t>{1})
                .run<std::int8_t>(),
            (Ints8{6, 15}));
}

TEST(Reduce, RefusesWhatTheRuntimeLeavesUnwritten) {
  const auto refused = [](const OneNode& node) {
    return error_of([&] { node.result(); }).code() == ErrorCode::Illegal;
  };
  EXPECT_TRUE(
      refused(reduce("ReduceSum", counting(DType::Int8, {2, 2, 2, 2, 2}), 0, 0, {0, 2, 4})));
  EXPECT_TRUE(refused(reduce("ReduceSum", kSix, 0, 0, {2})));
  auto none = reduce("ReduceSum", kSix, 0, 0, {});
  none.attribute("noop_with_empty_axes", std::int64_t{1});
  EXPECT_TRUE(refused(none));
  EXPECT_TRUE(refused(reduce("ReduceL2", kSix, -16, 0, {0})));  // 2^-32
}

TEST(SqrtNewton, StopsWithinOneHundredThousandth) {
  EXPECT_EQ(sim::sqrt_newton(0), 0.0F);
  EXPECT_NEAR(sim::sqrt_newton(2), 1.41421356F, 1e-6F);
  EXPECT_NEAR(sim::sqrt_newton(1e-6F), 1e-3F, 2e-5F);
}

}  // namespace
}  // namespace espquant::test
