#include "quant/scaling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Network;

/// What the float executor makes of a few samples before and after scaling.
void expect_same_outputs(const Graph& actual, const Graph& expected,
                         const calib::SampleSource& source) {
  const ops::Executor before(expected), after(actual);
  ops::Executor::Workspace before_space(before), after_space(after);
  for (std::int64_t i = 0; i < source.count; ++i) {
    const auto e = before.run(source.sample(i), before_space);
    const auto a = after.run(source.sample(i), after_space);
    for (std::size_t o = 0; o < e.size(); ++o) test::expect_close(a[o], e[o], 1e-5, "output");
  }
}

struct Scaled {
  std::vector<float> factors;
  Plan plan;
  Graph graph;

  float factor_of(ValueId v) const {
    return factors[static_cast<std::size_t>(plan.scales.sets.find(v))];
  }
};

Scaled scale(const Graph& graph, const Settings& settings, const calib::SampleSource& source) {
  auto c = test::calibrate(graph, settings, source);
  const Widths widths(graph, c.plan.exponents, settings);
  Scaled result{{}, c.plan, graph};
  unshare_constants(result.graph);
  const ActivationErrors errors(result.graph, c.plan, c.calibration.statistics);
  result.factors =
      choose_factors(result.graph, c.plan, errors, c.calibration.inputs, widths, settings);
  apply_factors(result.graph, c.plan.scales.sets, result.factors);
  return result;
}

struct Branches {
  Network net;
  ValueId x = net.input("x", {1, 3, 8, 8});
  ValueId a = layer(x, 3, "Relu");
  ValueId b = layer(a, 4, "LeakyRelu");
  ValueId sum = net.node("Add", {a, b});
  ValueId pooled = net.node("AveragePool", {sum}, {{"kernel_shape", test::Ints{2, 2}}});
  ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {pooled})});
  ValueId scores = net.node("Gemm", {flat, net.random({4, 5}), net.random({5})});
  Graph graph = net.finish({scores});

  ValueId layer(ValueId from, std::int64_t channels, const char* activation) {
    return net.node(activation,
                    {net.node("Conv", {from, net.random({4, channels, 3, 3}), net.random({4})},
                              {{"pads", test::Ints{1, 1, 1, 1}}})});
  }
};

TEST(Scaling, KeepsTheFloatFunction) {
  const Branches n;
  const auto source = test::random_samples(n.graph, 4, -3, 3);
  const Scaled scaled = scale(n.graph, test::settings_for("esp32s3"), source);
  expect_same_outputs(scaled.graph, n.graph, source);
  // Any factors do, not only those that were chosen.
  std::vector<float> factors(n.graph.value_count(), 1.0F);
  factors[static_cast<std::size_t>(scaled.plan.scales.sets.find(n.a))] = 1.7F;
  Graph by_hand = n.graph;
  apply_factors(by_hand, scaled.plan.scales.sets, factors);
  expect_same_outputs(by_hand, n.graph, source);
  EXPECT_NE(by_hand.value(test::the_node(by_hand, "Gemm").inputs[1]).constant.data<float>()[0],
            n.graph.value(test::the_node(n.graph, "Gemm").inputs[1]).constant.data<float>()[0]);
}

TEST(Scaling, LeavesInputsAndOutputsOfTheNetworkAlone) {
  const Branches n;
  const Scaled scaled =
      scale(n.graph, test::settings_for("esp32s3"), test::random_samples(n.graph, 4, -3, 3));
  EXPECT_EQ(scaled.factor_of(n.x), 1);
  EXPECT_EQ(scaled.factor_of(n.scores), 1);
}

TEST(Scaling, FactorsStandOnTheGridWithinAnOctave) {
  const Branches n;
  const Scaled scaled =
      scale(n.graph, test::settings_for("esp32s3"), test::random_samples(n.graph, 4, -3, 3));
  for (const float f : scaled.factors) {
    EXPECT_GE(f, 1);
    EXPECT_LT(f, 2);
    const float place = std::log2(f) * kFactorsPerOctave;
    EXPECT_NEAR(place, std::nearbyint(place), 1e-5);
  }
}

TEST(Scaling, IsOnlyDoneWhereAskedFor) {
  const Branches n;
  Settings settings = test::settings_for("esp32s3");
  settings.scale_layers = false;
  const Scaled scaled = scale(n.graph, settings, test::random_samples(n.graph, 4, -3, 3));
  for (const float f : scaled.factors) EXPECT_EQ(f, 1);
}

TEST(Scaling, FillsTheGridWhereARangeIsJustAboveAPowerOfTwo) {
  // Relu(w x) reaches 1.05 of a grid that ends at 0.992 or 1.98; scaled, it can use all of it.
  Network net;
  const ValueId x = net.input("x", {1, 1, 16, 16});
  const ValueId y = net.node("Relu", {net.node("Conv", {x, net.floats({1, 1, 1, 1}, {1.0F})})});
  const ValueId z = net.node("Conv", {y, net.floats({1, 1, 1, 1}, {1.0F})});
  const Graph graph = net.finish({z});
  const Scaled scaled =
      scale(graph, test::settings_for("esp32s3"), test::random_samples(graph, 4, 0, 1.05F));
  EXPECT_GT(scaled.factor_of(y), 1.6F);
}

Graph capped_network(Network& net, ValueId& capped, float cap) {
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId low = net.scalar(0), high = net.scalar(cap);
  capped = net.node("Clip",
                    {net.node("Conv", {x, net.random({4, 3, 1, 1}), net.random({4})}), low, high});
  const ValueId more =
      net.node("Clip", {net.node("Conv", {capped, net.random({4, 4, 1, 1})}), low, high});
  return net.finish({net.node("Conv", {more, net.random({4, 4, 1, 1})})});
}

TEST(Scaling, CapsEndOnTheLargestInteger) {
  for (const int bits : {8, 16}) {
    for (const float cap : {6.0F, 1.0F, 0.3F}) {
      Network net;
      ValueId capped = kNone;
      const Graph graph = capped_network(net, capped, cap);
      Settings settings = test::settings_for("esp32s3");
      settings.bits = bits;
      const auto source = test::random_samples(graph, 4, -10, 10);
      const Scaled scaled = scale(graph, settings, source);
      const float top = cap * scaled.factor_of(capped) / static_cast<float>(max_q_of(bits));
      EXPECT_FLOAT_EQ(top, std::exp2(std::nearbyint(std::log2(top)))) << bits << " bits, " << cap;
      expect_same_outputs(scaled.graph, graph, source);
    }
  }
}

TEST(UnshareConstants, GivesEachReaderItsOwn) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId weights = net.random({4, 4, 1, 1});
  const ValueId shape = net.ints({1, 4, 64});
  const ValueId y = net.node("Conv", {net.node("Conv", {x, weights}), weights});
  const ValueId a = net.node("Reshape", {y, shape}), b = net.node("Reshape", {x, shape});
  Graph graph = net.finish({a, b});
  const Graph before = graph;
  unshare_constants(graph);
  verify(graph, "unshare_constants");
  std::vector<ValueId> read;
  for (NodeId id : graph.topological_order())
    if (graph.node(id).op == "Conv") read.push_back(graph.node(id).inputs[1]);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_NE(read[0], read[1]);
  EXPECT_EQ(graph.value(shape).consumers.size(), 2u) << "no number of the network";
  test::expect_same_function(graph, before);
}

}  // namespace
}  // namespace espquant::quant
