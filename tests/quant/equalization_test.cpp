#include "quant/equalization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "calib/channel_extents.h"
#include "quant/channel_groups.h"
#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Ints;
using test::Network;

ChannelExtents extents_of(const Graph& graph, const calib::SampleSource& source) {
  return calib::channel_extents(ops::Executor(graph), source);
}

/// x -> Conv -> (Relu or Clip) -> Conv, with one weight per channel: `up` before, `down` after.
struct Pair {
  Pair(const std::vector<float>& up, const std::vector<float>& down, float cap = 0) {
    const auto n = static_cast<std::int64_t>(up.size());
    x = net.input("x", {1, 1, 1, 8});
    const ValueId a = net.node("Conv", {x, net.floats({n, 1, 1, 1}, up),
                                        net.floats({n}, std::vector<float>(up.size(), 0.0F))});
    middle =
        cap > 0 ? net.node("Clip", {a, net.scalar(0), net.scalar(cap)}) : net.node("Relu", {a});
    const ValueId b = net.node("Conv", {middle, net.floats({1, n, 1, 1}, down)});
    graph = net.finish({b});
  }
  std::vector<float> weights(std::size_t layer) const {
    std::vector<NodeId> convs;
    for (NodeId id : graph.topological_order())
      if (graph.node(id).op == "Conv") convs.push_back(id);
    const auto data = graph.value(graph.node(convs[layer]).inputs[1]).constant.data<float>();
    return {data.begin(), data.end()};
  }
  Network net;
  ValueId x = kNone, middle = kNone;
  Graph graph;
};

EqualizationSettings once(float threshold = 0) {
  EqualizationSettings settings;
  settings.iterations = 1;
  settings.value_threshold = threshold;
  return settings;
}

TEST(Equalization, EvensOutTheRangesBeforeAndAfter) {
  Pair pair({4, 1, 0.25F}, {1, 1, 4});
  ChannelExtents none;
  EXPECT_EQ(equalize(pair.graph, once(), none), 1);
  // s = 1 / sqrt(before / after).
  EXPECT_EQ(pair.weights(0), (std::vector<float>{2, 1, 1}));
  EXPECT_EQ(pair.weights(1), (std::vector<float>{2, 1, 1}));
}

TEST(Equalization, FactorsStayBetweenATenthAndTen) {
  Pair pair({1e6F, 1e-6F, 1}, {1, 1, 1});
  ChannelExtents none;
  equalize(pair.graph, once(), none);
  EXPECT_FLOAT_EQ(pair.weights(0)[0], 1e5F);
  EXPECT_FLOAT_EQ(pair.weights(0)[1], 1e-5F);
}

TEST(Equalization, LeavesChannelsBelowTheThresholdAndDeadOnesAlone) {
  Pair pair({0.1F, 0.3F, 0}, {0.2F, 0.2F, 5});
  ChannelExtents none;
  equalize(pair.graph, once(0.4F), none);
  EXPECT_EQ(pair.weights(0)[0], 0.1F) << "0.1 + 0.2 < 0.4";
  EXPECT_NE(pair.weights(0)[1], 0.3F) << "0.3 + 0.2 > 0.4";
  EXPECT_EQ(pair.weights(1)[2], 5.0F) << "nothing to divide by";
}

TEST(Equalization, CountsBiasesAndActivationsWhereAskedFor) {
  EqualizationSettings settings = once();
  settings.include_bias = true;
  settings.bias_multiplier = 0.5F;
  Pair biased({1, 1}, {1, 1});
  biased.graph.value(test::producer_of(biased.graph, biased.graph.node(0).outputs[0]).inputs[2])
      .constant = Tensor::of<float>({2}, {8, 1});
  ChannelExtents none;
  equalize(biased.graph, settings, none);
  EXPECT_EQ(biased.weights(0), (std::vector<float>{0.5F, 1})) << "8 / 2 beside 1";

  settings = once();
  settings.include_activation = true;
  settings.activation_multiplier = 2;
  Pair active({1, 1}, {1, 1});
  ChannelExtents extents(active.graph.value_count());
  extents[static_cast<std::size_t>(active.middle)] = {{0, 2}, {-0.1F, 0}};
  equalize(active.graph, settings, extents);
  EXPECT_EQ(active.weights(0), (std::vector<float>{0.5F, 1}));
  const auto& middle = extents[static_cast<std::size_t>(active.middle)];
  EXPECT_EQ(middle[0].max, 1) << "scaled along";
  EXPECT_EQ(middle[1].min, -0.1F);
}

TEST(Equalization, AChannelThatReachesTheCapKeepsFactorOne) {
  // x reaches 1: channel 0 reaches the cap of 6, channel 1 half of it, channel 2 next to nothing.
  Pair pair({8, 3, 0.1F}, {800, 300, 10}, 6);
  const Graph before = pair.graph;
  const calib::SampleSource source = test::random_samples(pair.graph, 32, 0, 1);
  ChannelExtents extents = extents_of(pair.graph, source);
  equalize(pair.graph, once(), extents);
  const auto weights = pair.weights(0);
  EXPECT_EQ(weights[0], 8);
  EXPECT_NEAR(weights[1], 6 / 1.1F, 0.3F) << "up to the cap, with room for unseen data";
  EXPECT_FLOAT_EQ(weights[2], 1.0F) << "10 times";
  for (std::int64_t i = 0; i < source.count; ++i)
    test::expect_close(test::evaluate(pair.graph, source.sample(i))[0],
                       test::evaluate(before, source.sample(i))[0], 1e-5, "output");
}

TEST(EvenActivations, EveryChannelReachesAsFarAsTheLargest) {
  // x reaches 1: the channels reach 4, 1 and 1/8, of which the last may grow by 8 at most.
  Pair pair({4, 1, 0.125F}, {1, 1, 1});
  const Graph before = pair.graph;
  ChannelExtents extents = extents_of(pair.graph, test::random_samples(pair.graph, 64, 0, 1));
  const float most = extents[static_cast<std::size_t>(pair.middle)][0].max;
  EXPECT_EQ(even_activations(pair.graph, true, extents), 1);
  const auto& middle = extents[static_cast<std::size_t>(pair.middle)];
  EXPECT_EQ(middle[0].max, most);
  EXPECT_FLOAT_EQ(middle[1].max, most);
  EXPECT_FLOAT_EQ(pair.weights(0)[2], 1.0F) << "8 times";
  EXPECT_FLOAT_EQ(pair.weights(1)[2], 0.125F);
  test::expect_same_function(pair.graph, before, 1e-5);
}

TEST(EvenActivations, WhatAnActivationCutsOffIsNotThere) {
  // Behind the ReLU channel 1 reaches 1/4, before it -4.
  Pair pair({4, 1}, {1, 1});
  const ValueId before = pair.graph.node(pair.graph.value(pair.middle).producer).inputs[0];
  ChannelExtents extents(pair.graph.value_count());
  extents[static_cast<std::size_t>(before)] = {{-4, 4}, {-4, 0.25F}};
  extents[static_cast<std::size_t>(pair.middle)] = {{0, 4}, {0, 0.25F}};
  even_activations(pair.graph, true, extents);
  EXPECT_EQ(pair.weights(0), (std::vector<float>{4, 8})) << "8 times at most";
}

TEST(EvenActivations, StayBelowTheCap) {
  Pair pair({8, 1}, {1, 1}, 6);
  const Graph before = pair.graph;
  const calib::SampleSource source = test::random_samples(pair.graph, 64, 0, 1);
  ChannelExtents extents = extents_of(pair.graph, source);
  even_activations(pair.graph, true, extents);
  EXPECT_EQ(pair.weights(0)[0], 8) << "it reaches the cap";
  EXPECT_LT(pair.weights(0)[1], 6);
  EXPECT_GT(pair.weights(0)[1], 5);
  for (std::int64_t i = 0; i < source.count; ++i)
    test::expect_close(test::evaluate(pair.graph, source.sample(i))[0],
                       test::evaluate(before, source.sample(i))[0], 1e-5, "output");
}

TEST(EvenActivations, ChannelsOfWhichNothingIsKnownStay) {
  Pair pair({4, 1}, {1, 1});
  ChannelExtents none;
  even_activations(pair.graph, true, none);
  EXPECT_EQ(pair.weights(0), (std::vector<float>{4, 1}));
}

/// Branches, adds, depthwise convolutions, pools and a head, with uneven channels.
Graph uneven_network() {
  Network net;
  std::uint64_t seed = 40;
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to, std::int64_t groups,
                            std::int64_t kernel) {
    Tensor w = test::random_tensor({to, from / groups, kernel, kernel}, ++seed);
    auto data = w.mutable_data<float>();
    Random random(seed);
    const std::size_t each = data.size() / static_cast<std::size_t>(to);
    for (std::size_t c = 0; c < static_cast<std::size_t>(to); ++c) {
      const float factor = std::exp2(random.uniform(-3, 1));
      for (std::size_t k = 0; k < each; ++k) data[c * each + k] *= factor;
    }
    const std::int64_t pad = kernel / 2;
    return net.node("Conv", {v, net.constant(w), net.random({to})},
                    {{"group", groups}, {"pads", Ints{pad, pad, pad, pad}}});
  };
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId a = net.node("Relu", {convolve(x, 3, 8, 1, 3)});
  const ValueId expanded = net.node("Relu", {convolve(a, 8, 16, 1, 1)});
  const ValueId deep = net.node("LeakyRelu", {convolve(expanded, 16, 16, 16, 3)});
  const ValueId sum = net.node("Add", {a, convolve(deep, 16, 8, 1, 1)});
  const ValueId other = net.node("MaxPool", {net.node("Relu", {convolve(sum, 8, 8, 2, 3)})},
                                 {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const ValueId smaller =
      net.node("AveragePool", {sum}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const ValueId difference = net.node("Sub", {smaller, convolve(other, 8, 8, 1, 1)});
  const ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {difference})});
  return net.finish({net.node("Gemm", {flat, net.random({8, 5}), net.random({5})})});
}

TEST(Equalization, KeepsTheFloatFunctionThroughBranchesAddsAndDepthwise) {
  const Graph before = uneven_network();
  for (const bool through_adds : {false, true}) {
    Graph after = before;
    EqualizationSettings settings;
    settings.through_adds = through_adds;
    ChannelExtents none;
    EXPECT_EQ(equalize(after, settings, none), through_adds ? 4 : 3);
    test::expect_same_function(after, before, 1e-4);
  }
}

TEST(Equalization, InALineStopsAtAnAdd) {
  const Graph before = uneven_network();
  const auto first_weights = [](const Graph& g) {
    return g.value(g.node(g.topological_order()[0]).inputs[1]).constant;
  };
  for (const bool through_adds : {false, true}) {
    Graph after = before;
    EqualizationSettings settings;
    settings.through_adds = through_adds;
    ChannelExtents none;
    equalize(after, settings, none);
    EXPECT_EQ(first_weights(after).equals(first_weights(before)), !through_adds);
  }
}

TEST(CapsIntoRelus, OnlyWhereTheyClipFromZero) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId relu6 = net.node("Clip", {x, net.scalar(0), net.scalar(6)});
  const ValueId open = net.node("Clip", {x, net.scalar(0)});
  const ValueId both = net.node("Clip", {x, net.scalar(-1), net.scalar(1)});
  Graph graph = net.finish({relu6, open, both});
  EXPECT_EQ(turn_caps_into_relus(graph), 1);
  verify(graph, "turn_caps_into_relus");
  const Node& turned = test::producer_of(graph, relu6);
  EXPECT_EQ(turned.op, "Relu");
  EXPECT_EQ(turned.inputs, std::vector<ValueId>{x});
  EXPECT_EQ(test::producer_of(graph, both).op, "Clip");
  EXPECT_EQ(turn_caps_into_relus(graph), 0);
}

// x >= 0 -> Conv (bias 5) -> Relu -> 1x1 Conv: the ReLU's input never falls below 5.
TEST(HighBias, MovesToTheReaderAndKeepsTheFunction) {
  Network net;
  const ValueId x = net.input("x", {1, 1, 4, 4});
  const ValueId first =
      net.node("Conv", {x, net.floats({2, 1, 1, 1}, {1, 1}), net.floats({2}, {5, -5})});
  const ValueId relu = net.node("Relu", {first});
  const ValueId y = net.node("Conv", {relu, net.floats({1, 2, 1, 1}, {3, 4})});
  Graph graph = net.finish({y});
  const Graph before = graph;
  const calib::SampleSource source = test::random_samples(graph, 8, 0, 1);
  EXPECT_EQ(absorb_high_biases(graph, extents_of(graph, source)), 1) << "only the channel above 0";
  const auto bias =
      graph.value(graph.node(graph.value(first).producer).inputs[2]).constant.data<float>();
  EXPECT_NEAR(bias[0], 0, 0.3F);
  EXPECT_EQ(bias[1], -5);
  const ops::Executor old_executor(before), new_executor(graph);
  ops::Executor::Workspace old_workspace(old_executor), new_workspace(new_executor);
  for (std::int64_t i = 0; i < source.count; ++i) {
    const auto a = old_executor.run(source.sample(i), old_workspace)[0];
    const auto b = new_executor.run(source.sample(i), new_workspace)[0];
    for (std::size_t k = 0; k < 16; ++k) EXPECT_NEAR(a.data<float>()[k], b.data<float>()[k], 1e-4F);
  }
}

TEST(HighBias, StaysWhereTheReaderPads) {
  Network net;
  const ValueId x = net.input("x", {1, 1, 4, 4});
  const ValueId relu = net.node(
      "Relu", {net.node("Conv", {x, net.floats({1, 1, 1, 1}, {1}), net.floats({1}, {5})})});
  const ValueId y =
      net.node("Conv", {relu, net.random({1, 1, 3, 3})}, {{"pads", Ints{1, 1, 1, 1}}});
  Graph graph = net.finish({y});
  const calib::SampleSource source = test::random_samples(graph, 4, 0, 1);
  EXPECT_EQ(absorb_high_biases(graph, extents_of(graph, source)), 0);
}

}  // namespace
}  // namespace espquant::quant
