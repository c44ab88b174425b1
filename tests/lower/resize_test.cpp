#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "sim/program.h"
#include "tests/lower/quantized_network.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

struct Resized {
  std::string mode, coordinates, rounding;
  std::vector<float> scales;
  Shape shape = {1, 3, 4, 5};
};

Graph resizing(const Resized& r, int bits, int exponent) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", r.shape, exponent, bits);
  const auto rank = static_cast<std::int64_t>(r.scales.size());
  const ValueId scales = net.constant(Tensor::of<float>({rank}, r.scales));
  const ValueId y = net.node("Resize", {x, kNone, scales},
                             {{"mode", r.mode},
                              {"coordinate_transformation_mode", r.coordinates},
                              {"nearest_mode", r.rounding}},
                             exponent, bits);
  return net.finish({y});
}

/// The largest difference to ONNX's resize in units of the last place.
double difference(const Resized& r, int bits, const char* chip) {
  const int exponent = 2 - bits;
  const Graph graph = resizing(r, bits, exponent);
  Tensor x = test::random_tensor(r.shape, 7, -1.9F, 1.9F);
  for (float& v : x.mutable_data<float>())
    v = std::ldexp(std::round(std::ldexp(v, -exponent)), exponent);
  const Lowered made = lower(graph, find_target(chip));
  const sim::Program program(made.model, find_target(chip));
  sim::Program::Frame frame(program);
  const std::string name = graph.value(graph.outputs()[0]).name;
  const Tensor stored = made.orders.at("x").stored(x);
  Tensor q(bits == 8 ? DType::Int8 : DType::Int16, stored.shape());
  for (std::size_t i = 0; i < stored.data<float>().size(); ++i) {
    const auto integer = std::lround(std::ldexp(stored.data<float>()[i], -exponent));
    if (bits == 8)
      q.mutable_data<std::int8_t>()[i] = static_cast<std::int8_t>(integer);
    else
      q.mutable_data<std::int16_t>()[i] = static_cast<std::int16_t>(integer);
  }
  frame.set(program.inputs()[0], q);
  frame.run();
  const Tensor out = frame.tensor(program.outputs()[0]).cast(DType::Float32);
  const Tensor actual =
      made.orders.at(name).network(out.data<float>(), *graph.value(graph.outputs()[0]).shape);
  const Tensor expected = test::evaluate(graph, {x})[0];
  double most = 0;
  for (std::size_t i = 0; i < expected.data<float>().size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(actual.data<float>()[i]) -
                                   std::ldexp(expected.data<float>()[i], -exponent)));
  return most;
}

constexpr std::array kResizingChips = {"esp32s3", "esp32p4", "esp32"};

TEST(LowerResize, NearestIsExactInAnyWidthAndOnAnyGrid) {
  const std::vector<Resized> all = {
      {"nearest", "asymmetric", "floor", {1, 1, 2, 2}},
      {"nearest", "half_pixel", "round_prefer_ceil", {1, 1, 2, 3}},
      {"nearest", "half_pixel", "ceil", {1, 1, 1, 2}},
      {"nearest", "asymmetric", "floor", {1, 1, 2.5F, 0.6F}},
      {"nearest", "align_corners", "round_prefer_floor", {1, 1, 3, 2}},
      {"nearest", "half_pixel", "floor", {1, 1, 3}, {1, 3, 5}},
  };
  for (const Resized& r : all)
    for (const int bits : {8, 16})
      for (const char* chip : kResizingChips)
        EXPECT_EQ(difference(r, bits, chip), 0)
            << r.coordinates << " " << r.rounding << " " << bits;
}

TEST(LowerResize, LinearAt16BitsIsRoundedOnly) {
  const std::vector<Resized> all = {
      {"linear", "half_pixel", "floor", {1, 1, 2, 2}},
      {"linear", "align_corners", "floor", {1, 1, 3, 1.5F}},
      {"linear", "asymmetric", "floor", {1, 1, 2, 0.5F}},
      {"linear", "half_pixel", "floor", {1, 1, 3, 2}, {1, 3, 1, 4}},
      {"linear", "pytorch_half_pixel", "floor", {1, 1, 4}, {1, 3, 6}},
  };
  for (const Resized& r : all)
    for (const char* chip : kResizingChips) EXPECT_LE(difference(r, 16, chip), 6) << r.coordinates;
}

TEST(LowerResize, FromOneElementIsNoInterpolation) {
  const Resized r{"linear", "half_pixel", "floor", {1, 1, 2, 3}, {1, 3, 1, 1}};
  for (const char* chip : kResizingChips) EXPECT_EQ(difference(r, 8, chip), 0);
}

TEST(LowerResize, TheRuntimesOwnIsTakenAt8Bits) {
  const Resized r{"linear", "half_pixel", "floor", {1, 1, 2, 2}};
  EXPECT_EQ(test::operators_of(test::lowered(resizing(r, 8, -6))),
            std::vector<std::string>{"Resize"});
  EXPECT_EQ(test::operators_of(test::lowered(resizing(r, 16, -14))),
            (std::vector<std::string>{"Gather", "Mul", "Gather", "Mul", "Add", "Gather", "Mul",
                                      "Gather", "Mul", "Add"}));
}

TEST(LowerResize, NearestToASmallerExponentSaturates) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 16, 1, 1}, -3, 8);
  const ValueId scales = net.constant(Tensor::of<float>({4}, {1, 1, 2, 2}));
  const ValueId y = net.node("Resize", {x, kNone, scales},
                             {{"mode", "nearest"},
                              {"coordinate_transformation_mode", "asymmetric"},
                              {"nearest_mode", "floor"}},
                             -5, 8);
  const Graph graph = net.finish({y});
  for (const char* chip : kResizingChips) {
    const Lowered lowered = lower(graph, find_target(chip));
    const sim::Program program(lowered.model, find_target(chip));
    EXPECT_TRUE(program.faults().empty()) << chip;
    sim::Program::Frame frame(program);
    frame.set(program.inputs()[0],
              Tensor::of<std::int8_t>({1, 1, 1, 16},
                                      {100, -100, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -31}));
    frame.run();
    const Tensor out = frame.tensor(program.outputs()[0]);
    const auto q = out.data<std::int8_t>();
    EXPECT_EQ(q[0], 127) << chip;
    EXPECT_EQ(q[1], -128) << chip;
    EXPECT_EQ(q[2], 12) << chip;
    EXPECT_EQ(q[15], -124) << chip;
  }
}

}  // namespace
}  // namespace espquant::lower
