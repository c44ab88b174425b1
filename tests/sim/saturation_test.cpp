#include <gtest/gtest.h>

#include "espdl/filter_layout.h"
#include "sim/program.h"
#include "tests/sim/one_node.h"

namespace espquant::test {
namespace {

using Books = sim::Workspace::Saturation;
using sim::KernelChoice;

Tensor filled(DType dtype, Shape shape, int q) {
  Tensor t(DType::Int32, std::move(shape));
  for (std::int32_t& e : t.mutable_data<std::int32_t>()) e = q;
  return t.cast(dtype);
}

/// A 1x1 convolution of one pixel of `terms` equal elements with `channels` equal filters.
OneNode product(DType dtype, std::int64_t terms, int x, int w, std::int64_t channels,
                std::int64_t bias = 0) {
  const bool int8 = dtype == DType::Int8;
  Tensor biases(DType::Int64, {channels});
  for (std::int64_t& b : biases.mutable_data<std::int64_t>()) b = bias;
  OneNode node("Conv");
  node.input(filled(dtype, {1, 1, 1, terms}, x))
      .constant(espdl::pack_filter(filled(dtype, {channels, 1, 1, terms}, w), false, int8 ? 16 : 8))
      .constant(int8 ? biases.cast(DType::Int32) : biases)
      .output(dtype, 12);
  return node;
}

class Saturation : public testing::TestWithParam<KernelChoice> {
 protected:
  Books books(const OneNode& node, int x, bool traced = true, bool saturation = true) const {
    const sim::Program program(node.model(), find_target("esp32s3"),
                               {.kernels = GetParam(), .saturation = saturation});
    sim::Program::Frame frame(program);
    const sim::TensorDesc& input = program.desc(program.inputs()[0]);
    frame.set(program.inputs()[0], filled(input.dtype, input.shape, x));
    std::vector<Books> all(program.node_count());
    all[0].traced = traced;
    frame.saturation = &all;
    frame.run();
    return all[0];
  }
  Books int8_books(std::int64_t terms, int x, int w, std::int64_t bias = 0) const {
    return books(product(DType::Int8, terms, x, w, 16, bias), x);
  }
};

TEST_P(Saturation, SumsBelowHalfOfTheLimitOnlyShowTheirSize) {
  const Books b = int8_books(10, 127, 127);
  EXPECT_EQ(b.outputs, 16);
  EXPECT_EQ(b.above_half, 0);
  EXPECT_EQ(b.saturated, 0);
  EXPECT_DOUBLE_EQ(b.peak, 10 * 127 * 127 / 524287.0);
}

TEST_P(Saturation, SumsAboveHalfAreCountedApart) {
  const Books b = int8_books(20, 127, -127);
  EXPECT_EQ(b.above_half, 16);
  EXPECT_EQ(b.saturated, 0);
}

TEST_P(Saturation, SumsBeyondTheLimitShowWhatTheyWouldBe) {
  const Books b = int8_books(40, 127, 127);
  EXPECT_EQ(b.saturated, 16);
  EXPECT_EQ(b.above_half, 16);
  EXPECT_DOUBLE_EQ(b.peak, 40 * 127 * 127 / 524287.0);
}

TEST_P(Saturation, TheLimitItselfIsInside) {
  EXPECT_EQ(int8_books(1, 1, 1, 524286).saturated, 0);
  EXPECT_EQ(int8_books(1, 2, 1, 524286).saturated, 16);
  EXPECT_EQ(int8_books(1, 1, -1, -524287).saturated, 0);
  EXPECT_EQ(int8_books(1, 2, -1, -524287).saturated, 16);
  EXPECT_DOUBLE_EQ(int8_books(1, 1, -1, -524287).peak, 1.0);
}

TEST_P(Saturation, CountsWithoutTracing) {
  const Books b = books(product(DType::Int8, 40, 127, 127, 16), 127, false);
  EXPECT_EQ(b.outputs, 16);
  EXPECT_EQ(b.saturated, 16);
}

TEST_P(Saturation, ChannelsThatFillNoVectorSumInAWideRegister) {
  EXPECT_EQ(books(product(DType::Int8, 40, 127, 127, 15), 127).outputs, 0);
  EXPECT_EQ(books(product(DType::Int8, 40, 127, 127, 17), 127).outputs, 16);
}

TEST_P(Saturation, Int16SumsIn40Bits) {
  const Books inside = books(product(DType::Int16, 500, 32767, 32767, 9), 32767);
  EXPECT_EQ(inside.outputs, 9);
  EXPECT_EQ(inside.saturated, 0);
  const Books beyond = books(product(DType::Int16, 600, 32767, 32767, 9), 32767);
  EXPECT_EQ(beyond.saturated, 9);
  EXPECT_DOUBLE_EQ(beyond.peak, 600.0 * 32767 * 32767 / 549755813887.0);
}

TEST_P(Saturation, ExactSumsAreNotOnTheBooks) {
  EXPECT_EQ(books(product(DType::Int8, 40, 127, 127, 16), 127, true, false).outputs, 0);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Saturation,
                         testing::Values(KernelChoice::Fast, KernelChoice::Reference),
                         [](const auto& param) {
                           return param.param == KernelChoice::Fast ? "Fast" : "Reference";
                         });

}  // namespace
}  // namespace espquant::test
