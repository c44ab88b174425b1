#include <gtest/gtest.h>

#include "espdl/filter_layout.h"
#include "sim/program.h"
#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

using Ints = std::vector<std::int64_t>;
using Bytes = std::vector<std::int8_t>;

Tensor filled8(Shape shape, int q) {
  Tensor t(DType::Int8, std::move(shape));
  for (std::int8_t& e : t.mutable_data<std::int8_t>()) e = static_cast<std::int8_t>(q);
  return t;
}

Tensor int32(std::initializer_list<std::int32_t> values) {
  return Tensor::of<std::int32_t>({static_cast<std::int64_t>(values.size())}, values);
}

/// A 2D convolution of [1][H][W][C] with a filter given in logical order [N][KH][KW][C].
OneNode conv(const Tensor& x, const Tensor& filter, int lanes, int out_exponent = 0) {
  OneNode node("Conv");
  node.input(x).constant(espdl::pack_filter(filter, false, lanes)).output(x.dtype(), out_exponent);
  return node;
}

/// A 1x1 convolution over `channels` equal inputs with `n` equal output channels.
OneNode dense(int channels, int x, int w, int n, int shift) {
  return conv(filled8({1, 1, 1, channels}, x), filled8({n, 1, 1, channels}, w), 16, shift);
}

TEST(Conv, SumsOverTheWindowAndTheChannels) {
  const Tensor x = int8({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const Tensor w = int8({1, 0, 0, 2}, {1, 2, 2, 1});
  EXPECT_EQ(conv(x, w, 16).run<std::int8_t>(), (Bytes{11, 14, 20, 23}));
  const Tensor two = int8({1, 10, 2, 20}, {1, 1, 2, 2});
  EXPECT_EQ(conv(two, int8({3, 1}, {1, 1, 1, 2}), 16).run<std::int8_t>(), (Bytes{13, 26}));
}

TEST(Conv, PadsStridesAndDilates) {
  const Tensor x = int8({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const Tensor ones = filled8({1, 2, 2, 1}, 1);
  // pads are top, left, bottom, right.
  EXPECT_EQ(conv(x, ones, 16).attribute("pads", Ints{1, 0, 0, 0}).run<std::int8_t>(),
            (Bytes{3, 5, 12, 16, 24, 28}));
  EXPECT_EQ(conv(x, ones, 16).attribute("pads", Ints{0, 1, 0, 0}).run<std::int8_t>(),
            (Bytes{5, 12, 16, 11, 24, 28}));
  EXPECT_EQ(conv(x, ones, 16).attribute("dilations", Ints{2, 2}).run<std::int8_t>(), (Bytes{20}));
  EXPECT_EQ(
      conv(x, filled8({1, 1, 1, 1}, 1), 16).attribute("strides", Ints{2, 1}).run<std::int8_t>(),
      (Bytes{1, 2, 3, 7, 8, 9}));
}

TEST(Conv, RunsOverOneDimension) {
  OneNode node("Conv");
  node.input(int8({1, 2, 3, 4}, {1, 4, 1}))
      .constant(int8({1, 10}, {2, 1, 1}))
      .attribute("pads", Ints{1, 0})
      .output(DType::Int8);
  const Tensor y = node.result();
  EXPECT_EQ(y.shape(), (Shape{1, 4, 1}));
  EXPECT_EQ(node.run<std::int8_t>(), (Bytes{10, 21, 32, 43}));
}

TEST(Conv, DepthwiseKeepsChannelsApart) {
  OneNode node("Conv");
  node.input(int8({1, 10, 2, 20, 3, 30}, {1, 1, 3, 2}))
      .constant(int8({1, 1, 1, 2}, {1, 2, 2, 1}))
      .attribute("group", std::int64_t{2})
      .output(DType::Int8);
  EXPECT_EQ(node.run<std::int8_t>(), (Bytes{3, 50, 5, 80}));
}

TEST(Conv, AddsTheBiasThenShiftsRoundsAndCutsNegatives) {
  const auto with_bias = [](int bias, std::string_view target) {
    OneNode node("Conv");
    node.input(int8({1}, {1, 1, 1, 1}))
        .constant(int8({0}, {1, 1, 1, 1}))
        .constant(int32({bias}))
        .output(DType::Int8, 2);
    return node.run<std::int8_t>(target)[0];
  };
  EXPECT_EQ(with_bias(6, "esp32s3"), 2);   // 1.5
  EXPECT_EQ(with_bias(10, "esp32s3"), 3);  // 2.5 goes up,
  EXPECT_EQ(with_bias(10, "esp32p4"), 2);  // or to even
  EXPECT_EQ(with_bias(-10, "esp32s3"), -2);
  EXPECT_EQ(with_bias(-10, "c"), -2);
  EXPECT_EQ(with_bias(100000, "esp32p4"), 127);
  EXPECT_EQ(conv(int8({-5}, {1, 1, 1, 1}), int8({1}, {1, 1, 1, 1}), 16)
                .attribute("activation", std::string("Relu"))
                .run<std::int8_t>(),
            Bytes{0});
}

TEST(Conv, S3ClipsVectorLanesAt20BitsAfterEveryProduct) {
  // 40 products of 127 * 127 pass 2^19 - 1; the next 40 of the opposite sign start from there.
  Tensor x = filled8({1, 1, 1, 80}, 127);
  for (std::size_t c = 40; c < 80; ++c) x.mutable_data<std::int8_t>()[c] = -127;
  const Tensor w = filled8({17, 1, 1, 80}, 127);
  const Bytes y = conv(x, w, 16, 10).run<std::int8_t>("esp32s3");
  // (2^19 - 1 - 40 * 16129 = -120873) / 1024, half up
  EXPECT_EQ(y[0], -118);
  EXPECT_EQ(y[15], -118);
  // The channel that fills no vector has 40 bits.
  EXPECT_EQ(y[16], 0);
  EXPECT_EQ(conv(x, w, 16, 10).run<std::int8_t>("esp32p4")[0], 0);
  EXPECT_EQ(conv(x, w, 16, 10).options({.saturation = false}).run<std::int8_t>("esp32s3")[0], 0);
}

TEST(Conv, SaturationIsCounted) {
  for (const auto kernels : {sim::KernelChoice::Fast, sim::KernelChoice::Reference}) {
    OneNode node = dense(80, 127, 127, 17, 14);
    const sim::Program program(node.model(), find_target("esp32s3"), {.kernels = kernels});
    sim::Program::Frame frame(program);
    frame.set(program.inputs()[0], filled8({1, 1, 1, 80}, 127));
    std::vector<sim::Workspace::Saturation> saturation(program.node_count());
    frame.saturation = &saturation;
    frame.run();
    EXPECT_EQ(saturation[0].saturated, 16);
    EXPECT_GE(saturation[0].outputs, 16);
  }
}

TEST(Conv, S3KeepsTheLow20BitsOfABias) {
  const auto with_bias = [](std::int32_t bias, std::int64_t n) {
    OneNode node("Conv");
    Tensor biases(DType::Int32, {n});
    for (std::int32_t& b : biases.mutable_data<std::int32_t>()) b = bias;
    node.input(int8({0}, {1, 1, 1, 1}))
        .constant(filled8({1, 1, 1, n}, 0))
        .constant(biases)
        .output(DType::Int8, 16);
    return node.run<std::int8_t>("esp32s3")[0];
  };
  EXPECT_EQ(with_bias((1 << 20) + (1 << 16), 16), 1);
  EXPECT_EQ(with_bias(1 << 19, 16), -8);
  // A channel that fills no vector keeps all.
  EXPECT_EQ(with_bias((1 << 20) + (1 << 16), 1), 17);
}

TEST(Conv, Int16TakesABiasOfOldExportersAsItStands) {
  OneNode node("Conv");
  node.input(int16({3}, {1, 1, 1, 1}))
      .constant(int16({5}, {1, 1, 1, 1}))
      .constant(int32({1000}))
      .output(DType::Int16);
  EXPECT_EQ(node.run<std::int16_t>("esp32s3"), std::vector<std::int16_t>{1015});
  EXPECT_EQ(node.faults("esp32s3"), std::vector<std::string>{"int16-bias-in-32-bits"});
}

TEST(Conv, ABiasOfAnotherTypeIsRefused) {
  for (const DType dtype : {DType::Int8, DType::Int16, DType::Float32, DType::Int64}) {
    OneNode node("Conv");
    node.input(int8({3}, {1, 1, 1, 1}))
        .constant(int8({5}, {1, 1, 1, 1}))
        .constant(Tensor(dtype, {1}))
        .output(DType::Int8);
    EXPECT_EQ(error_of([&] { (void)node.outputs(); }).code(), ErrorCode::Illegal);
  }
}

TEST(Conv, S3TakesShiftsOfVectorLanesModulo32) {
  OneNode node("Conv");
  Tensor biases(DType::Int32, {16});
  for (std::int32_t& b : biases.mutable_data<std::int32_t>()) b = 1 << 10;
  node.input(int8({0}, {1, 1, 1, 1}))
      .constant(filled8({1, 1, 1, 16}, 0))
      .constant(biases)
      .output(DType::Int8, 39);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3")[0], 8);  // 2^10 >> 7
  EXPECT_EQ(node.faults("esp32s3"), std::vector<std::string>{"shift-register-wraps"});
  EXPECT_EQ(node.run<std::int8_t>("esp32p4")[0], 0);
}

TEST(Conv, P4HasAnExponentPerChannel) {
  OneNode node("Conv");
  node.input(int8({8}, {1, 1, 1, 1}))
      .constant_per_channel(int8({1, 1}, {1, 1, 1, 2}), {0, -2})
      .output(DType::Int8, 0);
  EXPECT_EQ(node.run<std::int8_t>("esp32p4"), (Bytes{8, 2}));
  EXPECT_THROW(node.result("esp32s3"), Error);
  EXPECT_THROW(node.result("c"), Error);
}

TEST(Conv, OnlyTheCFamilyShiftsLeft) {
  OneNode node = conv(int8({3}, {1, 1, 1, 1}), int8({1}, {1, 1, 1, 1}), 1, -2);
  EXPECT_EQ(node.run<std::int8_t>("c"), Bytes{12});
  EXPECT_THROW(node.result("esp32s3"), Error);
  EXPECT_THROW(node.result("esp32p4"), Error);
}

TEST(Conv, Int16SumsIn64Bits) {
  Tensor x(DType::Int16, {1, 1, 1, 300}), w(DType::Int16, {8, 1, 1, 300});
  for (std::int16_t& e : x.mutable_data<std::int16_t>()) e = -32768;
  for (std::int16_t& e : w.mutable_data<std::int16_t>()) e = -32768;
  // 300 * 2^30 >> 25
  for (const char* target : {"esp32s3", "esp32p4", "c"})
    EXPECT_EQ(conv(x, w, find_target(target).lanes(16), 25).run<std::int16_t>(target)[0], 300 * 32)
        << target;
}

TEST(Conv, S3ClipsInt16LanesAt40Bits) {
  Tensor x(DType::Int16, {1, 1, 1, 600}), w(DType::Int16, {8, 1, 1, 600});
  for (std::int16_t& e : x.mutable_data<std::int16_t>()) e = -32768;
  for (std::int16_t& e : w.mutable_data<std::int16_t>()) e = -32768;
  EXPECT_EQ(conv(x, w, 8, 25).run<std::int16_t>("esp32s3")[0], 16384);  // 2^39 >> 25
  EXPECT_EQ(conv(x, w, 8, 25).run<std::int16_t>("esp32p4")[0], 600 * 32);
}

/// The conv_refusal of a convolution on the S3.
Error conv_refusal(const OneNode& node) {
  try {
    node.result("esp32s3");
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "not refused";
  return Error(ErrorCode::Internal, "");
}

TEST(Conv, RefusesWhatTheChipCannotCompute) {
  const Tensor x = filled8({1, 4, 4, 4}, 1), w = filled8({4, 3, 3, 4}, 1);
  EXPECT_EQ(conv_refusal(conv(x, w, 16).attribute("pads", Ints{3, 0, 0, 0})).code(),
            ErrorCode::Illegal);
  EXPECT_EQ(conv_refusal(conv(x, w, 16).attribute("activation", std::string("Sigmoid"))).code(),
            ErrorCode::Illegal);
  EXPECT_EQ(conv_refusal(conv(x, w, 16).constant(int16({1, 2, 3, 4}))).code(), ErrorCode::Illegal);
  EXPECT_EQ(conv_refusal(conv(filled8({2, 4, 4, 4}, 1), w, 16)).code(), ErrorCode::Illegal);

  OneNode grouped("Conv");
  grouped.input(x)
      .constant(filled8({3, 3, 2, 4}, 1))
      .attribute("group", std::int64_t{2})
      .output(DType::Int8);
  EXPECT_EQ(conv_refusal(grouped).code(), ErrorCode::Illegal);
  EXPECT_FALSE(conv_refusal(grouped).remedy().empty());
}

TEST(Conv, RefusesShapesThatDoNotFit) {
  const Tensor x = filled8({1, 4, 4, 4}, 1);
  EXPECT_EQ(conv_refusal(conv(x, filled8({4, 3, 3, 5}, 1), 16)).code(), ErrorCode::Malformed);
  EXPECT_EQ(conv_refusal(conv(x, filled8({4, 5, 5, 4}, 1), 16)).code(), ErrorCode::Malformed);
  EXPECT_EQ(
      conv_refusal(conv(x, filled8({4, 1, 1, 4}, 1), 16).attribute("strides", Ints{0, 1})).code(),
      ErrorCode::Malformed);
  EXPECT_EQ(
      conv_refusal(conv(x, filled8({4, 1, 1, 4}, 1), 16).attribute("pads", Ints{0, 0, 0})).code(),
      ErrorCode::Malformed);
  EXPECT_EQ(conv_refusal(conv(x, filled8({4, 1, 1, 4}, 1), 16).constant(int32({1}))).code(),
            ErrorCode::Malformed);
  EXPECT_EQ(
      conv_refusal(OneNode("Conv").input(x).input(filled8({1, 1, 4, 4}, 1)).output(DType::Int8))
          .code(),
      ErrorCode::Unsupported);
}

}  // namespace
}  // namespace espquant::test
