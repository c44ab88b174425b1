#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "strategy/quantize_model.h"
#include "tests/quant/calibrated.h"

/// Softmax with what is hard for 8 bits: masks and large scores.
namespace espquant::strategy {
namespace {

using test::Ints;
using test::Network;

QuantizedModel with_scores(const Graph& network, int bits, float range = 1,
                           const char* target = "esp32s3") {
  QuantizeOptions options;
  options.recipe = recipe::find_recipe(bits == 8 ? "int8" : "int16");
  options.target = &find_target(target);
  options.report_samples = 8;
  options.test_values = false;
  return quantize_model(network, test::random_samples(network, 16, -range, range), options);
}

double output_noise_of(const QuantizedModel& model) { return model.noise.output.ratio(); }

using AddMask = std::function<ValueId(Network&, ValueId)>;

/// One head of attention over 8 positions of 16 features.
Graph attention(const AddMask& mask) {
  Network net;
  const ValueId x = net.input("x", {1, 8, 16});
  const ValueId q = net.node("MatMul", {x, net.random({16, 16})});
  const ValueId k = net.node("MatMul", {x, net.random({16, 16})});
  const ValueId kt = net.node("Transpose", {k}, {{"perm", Ints{0, 2, 1}}});
  const ValueId scores = net.node("Mul", {net.node("MatMul", {q, kt}), net.scalar(0.25F)});
  const ValueId p = net.node("Softmax", {mask(net, scores)}, {{"axis", std::int64_t{-1}}});
  return net.finish({net.node("MatMul", {p, x})});
}

Tensor causal_mask(float masked) {
  Tensor t(DType::Float32, {8, 8});
  auto data = t.mutable_data<float>();
  for (std::size_t i = 0; i < 64; ++i) data[i] = i % 8 > i / 8 ? masked : 0;
  return t;
}

TEST(MaskedScores, AreAsExactAsScoresWithoutAMask) {
  const QuantizedModel without8 = with_scores(attention([](Network&, ValueId s) { return s; }), 8);
  for (float masked : {-1e4F, std::numeric_limits<float>::lowest(),
                       -std::numeric_limits<float>::infinity(), -100.0F}) {
    SCOPED_TRACE(masked);
    const Graph network = attention([&](Network& net, ValueId s) {
      return net.node("Add", {s, net.constant(causal_mask(masked))});
    });
    EXPECT_LE(output_noise_of(with_scores(network, 8)), 3 * output_noise_of(without8));
    EXPECT_LE(output_noise_of(with_scores(network, 16)), 1e-5);
  }
}

TEST(MaskedScores, MayBeChosenByAWhere) {
  const Graph network = attention([](Network& net, ValueId s) {
    Tensor flags = causal_mask(1).cast(DType::Bool);
    return net.node("Where", {net.constant(flags), net.scalar(-1e9F), s});
  });
  for (const char* target : {"esp32s3", "esp32p4", "esp32"}) {
    EXPECT_LE(output_noise_of(with_scores(network, 8, 1, target)), 5e-3) << target;
    EXPECT_LE(output_noise_of(with_scores(network, 16, 1, target)), 1e-5) << target;
  }
}

/// A classifier whose scores reach `reach`, with `op` between them and the Softmax.
Graph classifier(float reach, float bias, const AddMask& between) {
  Network net;
  const ValueId x = net.input("x", {1, 16});
  std::vector<float> shift(10, bias);
  const ValueId scores =
      net.node("Gemm", {x, net.random({16, 10}, -reach / 4, reach / 4), net.floats({10}, shift)});
  return net.finish({net.node("Softmax", {between(net, scores)})});
}

TEST(LargeScores, AreComputedAt16BitsAndSaidSo) {
  const std::vector<AddMask> between = {
      [](Network&, ValueId s) { return s; },
      [](Network& net, ValueId s) {
        return net.node("Reshape", {s, net.ints({1, 1, 10})});
      },
      [](Network& net, ValueId s) {
        return net.node("Add", {s, net.floats({1}, {3})});
      },
  };
  for (const AddMask& op : between) {
    const QuantizedModel model = with_scores(classifier(100, 0, op), 8);
    EXPECT_LE(output_noise_of(model), 0.01);
    EXPECT_TRUE(model.faults.empty());
    ASSERT_EQ(model.notes.size(), 1U);
    EXPECT_NE(model.notes[0].find("16"), std::string::npos);
  }
}

TEST(LargeScores, FarFromZeroAreRight) {
  for (float bias : {-150.0F, 150.0F}) {
    const QuantizedModel model =
        with_scores(classifier(8, bias, [](Network&, ValueId s) { return s; }), 8);
    EXPECT_LE(output_noise_of(model), 0.01) << bias;
  }
}

TEST(OrdinaryScores, StayAt8Bits) {
  const QuantizedModel model =
      with_scores(classifier(8, 0, [](Network&, ValueId s) { return s; }), 8);
  EXPECT_TRUE(model.notes.empty());
}

}  // namespace
}  // namespace espquant::strategy
