#include "sim/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

// ESP-DL 3.19.
TEST(GateTable, IsMirroredAndClamped) {
  const auto sigmoid = sim::GateTable::sigmoid(-8);
  EXPECT_EQ(sigmoid(0), 0.5F);
  EXPECT_EQ(sigmoid(256), sim::gate_sigmoid(1));
  EXPECT_EQ(sigmoid(-256), 1 - sim::gate_sigmoid(1));
  // int(6.3 * 256) + 1 is the last entry.
  EXPECT_EQ(sigmoid(30000), sim::gate_sigmoid(1613 / 256.0F));
  EXPECT_EQ(sigmoid(-30000), 1 - sim::gate_sigmoid(1613 / 256.0F));
  const auto tanh = sim::GateTable::tanh(-8);
  EXPECT_EQ(tanh(-256), -sim::gate_tanh(1));
  EXPECT_EQ(tanh(-30000), -sim::gate_tanh(897 / 256.0F));
}

/// One row times one vector.
std::int16_t gate_product_of(std::vector<std::int16_t> row, std::vector<std::int16_t> vector,
                             int shift, bool vector_kernels) {
  sim::RecurrentPlan plan;
  plan.gates = plan.hidden = 1;
  plan.vector_kernels = vector_kernels;
  plan.rounding = Rounding::HalfEven;
  std::int16_t result = 0;
  sim::gate_products(plan, row.data(), vector.data(), static_cast<std::int64_t>(row.size()), shift,
                     &result);
  return result;
}

// ESP-DL 3.19. 500.5 * 2^16 + 1: as a float32 it is the tie, which goes to the even 500.
TEST(GateProducts, AreExactInWholeVectorsOnly) {
  std::vector<std::int16_t> row(8), vector(8);
  row[0] = 32767, vector[0] = 1001;
  row[1] = 1002, vector[1] = 1;
  EXPECT_EQ(gate_product_of(row, vector, 16, true), 501);
  EXPECT_EQ(gate_product_of(row, vector, 16, false), 500);
  row.push_back(0), vector.push_back(0);
  EXPECT_EQ(gate_product_of(row, vector, 16, true), 500);
}

TEST(GateProducts, ClipAt40Bits) {
  const std::vector<std::int16_t> largest(1024, -32768);
  EXPECT_EQ(gate_product_of(largest, largest, 30, true), 512);
  EXPECT_EQ(gate_product_of(largest, largest, 30, false), 1024);
}

/// One feature, one hidden unit, two steps. W and R as given, no biases.
OneNode gru(Tensor x, Tensor w, Tensor r, DType dtype, int exponent) {
  OneNode node("GRU");
  node.input(std::move(x), exponent)
      .constant(std::move(w), exponent)
      .constant(std::move(r), exponent)
      .output(dtype, exponent)
      .output(dtype, exponent)
      .attribute("hidden_size", std::int64_t{1})
      .attribute("linear_before_reset", std::int64_t{1});
  return node;
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

/// By the definition of ONNX, gates z, r, n.
Floats gru_by_definition(const Floats& x, const Floats& w, const Floats& r) {
  float h = 0;
  Floats result;
  for (float v : x) {
    const float z = sigmoid(w[0] * v + r[0] * h), reset = sigmoid(w[1] * v + r[1] * h);
    const float n = std::tanh(w[2] * v + reset * (r[2] * h));
    h = (1 - z) * n + z * h;
    result.push_back(h);
  }
  return result;
}

TEST(Gru, FloatIsTheDefinition) {
  const auto outputs = gru(float32({1, -0.5F}, {2, 1, 1}), float32({0.5F, -1, 2}, {1, 3, 1}),
                           float32({1, 0.25F, -1}, {1, 3, 1}), DType::Float32, 0)
                           .outputs();
  const Floats expected = gru_by_definition({1, -0.5F}, {0.5F, -1, 2}, {1, 0.25F, -1});
  EXPECT_EQ(outputs[0].shape(), (Shape{2, 1, 1, 1}));
  EXPECT_EQ(outputs[1].shape(), (Shape{1, 1, 1}));
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(outputs[0].data<float>()[i], expected[i], 1e-6F);
  EXPECT_EQ(outputs[1].data<float>()[0], outputs[0].data<float>()[1]);
}

TEST(Gru, QuantizedIsNearTheDefinition) {
  const auto y = gru(int16({16384, -8192}, {2, 1, 1}), int16({8192, -16384, 32767}, {1, 3, 1}),
                     int16({16384, 4096, -16384}, {1, 3, 1}), DType::Int16, -14)
                     .run<std::int16_t>();
  const Floats expected = gru_by_definition({1, -0.5F}, {0.5F, -1, 2}, {1, 0.25F, -1});
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(y[i] / 16384.0F, expected[i], 4e-3F);
}

TEST(Gru, BothDirectionsEndAtTheirLastStep) {
  OneNode node("GRU");
  node.input(float32({1, 2, 3}, {3, 1, 1}))
      .constant(float32({0, 0, 1, 0, 0, 1}, {2, 3, 1}))
      .constant(float32({0, 0, 0, 0, 0, 0}, {2, 3, 1}))
      .output(DType::Float32)
      .output(DType::Float32)
      .attribute("hidden_size", std::int64_t{1})
      .attribute("direction", std::string("bidirectional"))
      .attribute("linear_before_reset", std::int64_t{1});
  const auto outputs = node.outputs();
  EXPECT_EQ(outputs[0].shape(), (Shape{3, 2, 1, 1}));
  const auto y = outputs[0].data<float>(), h = outputs[1].data<float>();
  EXPECT_EQ(h[0], y[4]);  // forwards ends at step 2
  EXPECT_EQ(h[1], y[1]);  // backwards ends at step 0
  EXPECT_NE(h[0], h[1]);
}

OneNode lstm(Tensor x, Tensor w, Tensor r, DType dtype, int exponent) {
  const bool floats = dtype == DType::Float32;
  OneNode node("LSTM");
  node.input(std::move(x), exponent)
      .constant(std::move(w), exponent)
      .constant(std::move(r), exponent)
      .output(dtype, exponent)
      .output(dtype, exponent)
      .output(floats ? dtype : DType::Int16, floats ? 0 : -10)
      .attribute("hidden_size", std::int64_t{1})
      .attribute("gate_exponent", std::int64_t{-10});
  return node;
}

/// Gates i, o, f, c.
Floats lstm_by_definition(const Floats& x, const Floats& w, const Floats& r) {
  float h = 0, c = 0;
  Floats result;
  for (float v : x) {
    const auto gate = [&](std::size_t g) { return w[g] * v + r[g] * h; };
    const float in = sigmoid(gate(0)), out = sigmoid(gate(1)), forget = sigmoid(gate(2));
    c = forget * c + in * std::tanh(gate(3));
    h = out * std::tanh(c);
    result.push_back(h);
  }
  return result;
}

TEST(Lstm, FloatIsTheDefinitionAndQuantizedIsNear) {
  const Floats expected = lstm_by_definition({1, -0.5F}, {0.5F, -1, 1, 1.5F}, {1, 0.25F, -1, 0.5F});
  const auto y = lstm(float32({1, -0.5F}, {2, 1, 1}), float32({0.5F, -1, 1, 1.5F}, {1, 4, 1}),
                      float32({1, 0.25F, -1, 0.5F}, {1, 4, 1}), DType::Float32, 0)
                     .run<float>();
  const auto q = lstm(int8({64, -32}, {2, 1, 1}), int8({32, -64, 64, 96}, {1, 4, 1}),
                      int8({64, 16, -64, 32}, {1, 4, 1}), DType::Int8, -6)
                     .run<std::int8_t>();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(y[i], expected[i], 1e-6F);
    EXPECT_NEAR(q[i] / 64.0F, expected[i], 0.02F);
  }
}

TEST(Recurrent, RunsReverseForwards) {
  auto node = gru(float32({1, 2}, {2, 1, 1}), float32({1, 1, 1}, {1, 3, 1}),
                  float32({1, 1, 1}, {1, 3, 1}), DType::Float32, 0);
  const auto forwards = node.run<float>();
  node.attribute("direction", std::string("reverse"));
  EXPECT_EQ(node.run<float>(), forwards);
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"recurrent-reverse-runs-forward"}));
}

TEST(Recurrent, RefusesWhatTheRuntimeDoesNotRun) {
  const auto refused = [](const OneNode& node) {
    return error_of([&] { node.result(); }).code() == ErrorCode::Illegal;
  };
  const auto small = [] {
    return gru(float32({1}, {1, 1, 1}), float32({1, 1, 1}, {1, 3, 1}),
               float32({1, 1, 1}, {1, 3, 1}), DType::Float32, 0);
  };
  EXPECT_TRUE(refused(small().attribute("linear_before_reset", std::int64_t{0})));
  EXPECT_TRUE(refused(small().attribute("hidden_size", std::int64_t{2})));
  EXPECT_TRUE(refused(gru(float32({1, 1}, {1, 2, 1}), float32({1, 1, 1}, {1, 3, 1}),
                          float32({1, 1, 1}, {1, 3, 1}), DType::Float32, 0)));
}

}  // namespace
}  // namespace espquant::test
