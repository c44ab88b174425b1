#include "quant/channel_groups.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/network.h"

namespace espquant::quant {
namespace {

using test::Ints;
using test::Network;

ValueId channel_groups_convolve(Network& net, ValueId x, std::int64_t from, std::int64_t to,
                                std::int64_t groups = 1) {
  return net.node("Conv", {x, net.random({to, from / groups, 1, 1}), net.random({to})},
                  {{"group", groups}});
}

/// The group that `v` is in, or null.
const ChannelGroup* group_with(const std::vector<ChannelGroup>& groups, ValueId v) {
  for (const ChannelGroup& g : groups)
    if (std::find(g.values.begin(), g.values.end(), v) != g.values.end()) return &g;
  return nullptr;
}

TEST(ChannelGroups, LieBetweenLayersInALine) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = channel_groups_convolve(net, x, 3, 8);
  const ValueId relu = net.node("Relu", {a});
  const ValueId b = channel_groups_convolve(net, relu, 8, 5);
  const Graph graph = net.finish({b});
  const auto groups = channel_groups(graph, false);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].channels, 8);
  EXPECT_EQ(groups[0].values, (std::vector<ValueId>{a, relu}));
  EXPECT_EQ(groups[0].writers, std::vector<NodeId>{graph.value(a).producer});
  EXPECT_EQ(groups[0].readers, std::vector<NodeId>{graph.value(b).producer});
  EXPECT_EQ(groups[0].cap, 0);
}

TEST(ChannelGroups, EndAtADepthwiseConvOnBothSides) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = channel_groups_convolve(net, x, 3, 8);
  const ValueId deep = channel_groups_convolve(net, a, 8, 8, 8);
  const ValueId b = channel_groups_convolve(net, deep, 8, 5);
  const Graph graph = net.finish({b});
  const auto groups = channel_groups(graph, false);
  ASSERT_EQ(groups.size(), 2u);
  const NodeId depthwise = graph.value(deep).producer;
  EXPECT_EQ(group_with(groups, a)->readers, std::vector<NodeId>{depthwise});
  EXPECT_EQ(group_with(groups, deep)->writers, std::vector<NodeId>{depthwise});
}

TEST(ChannelGroups, OfABranchHaveAllItsReaders) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = channel_groups_convolve(net, x, 3, 8);
  const ValueId b = channel_groups_convolve(net, a, 8, 5),
                c = channel_groups_convolve(net, net.node("Relu", {a}), 8, 5);
  const auto groups = channel_groups(net.finish({b, c}), false);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].readers.size(), 2u);
}

TEST(ChannelGroups, StopAtAnAddOrPassThroughItAsAsked) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = channel_groups_convolve(net, x, 3, 8);
  const ValueId b = channel_groups_convolve(net, a, 8, 8);
  const ValueId sum = net.node("Add", {a, b});
  const ValueId c = channel_groups_convolve(net, sum, 8, 5);
  const Graph graph = net.finish({c});
  EXPECT_TRUE(channel_groups(graph, false).empty());
  const auto groups = channel_groups(graph, true);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].values, (std::vector<ValueId>{a, b, sum}));
  EXPECT_EQ(groups[0].writers.size(), 2u);
  EXPECT_EQ(groups[0].readers.size(), 2u);
}

TEST(ChannelGroups, ArePinnedByAnAddOfAConstantOrOfAnotherShape) {
  for (const bool constant : {true, false}) {
    Network net;
    const ValueId x = net.input("x", {1, 8, 4, 4});
    const ValueId a = channel_groups_convolve(net, x, 8, 8);
    const ValueId other = constant ? net.random({1, 8, 1, 1}) : net.node("GlobalMaxPool", {a});
    const ValueId b = channel_groups_convolve(net, net.node("Add", {a, other}), 8, 5);
    EXPECT_TRUE(channel_groups(net.finish({b}), true).empty()) << constant;
  }
}

TEST(ChannelGroups, ReachAGemmThroughAFlattenOfOnePixel) {
  for (const std::int64_t pixels : {1, 2}) {
    Network net;
    const ValueId x = net.input("x", {1, 3, pixels, pixels});
    const ValueId a = channel_groups_convolve(net, x, 3, 8);
    const ValueId flat = net.node("Flatten", {a});
    const ValueId b = net.node("Gemm", {flat, net.random({8 * pixels * pixels, 5})});
    EXPECT_EQ(channel_groups(net.finish({b}), false).size(), pixels == 1 ? 1u : 0u);
  }
}

TEST(ChannelGroups, CarryACapUnlessCapsDiffer) {
  for (const float second : {6.0F, 4.0F}) {
    Network net;
    const ValueId x = net.input("x", {1, 3, 4, 4});
    const ValueId a = channel_groups_convolve(net, x, 3, 8);
    const ValueId low = net.scalar(0);
    const ValueId b = channel_groups_convolve(net, net.node("Clip", {a, low, net.scalar(6)}), 8, 5);
    const ValueId c =
        channel_groups_convolve(net, net.node("Clip", {a, low, net.scalar(second)}), 8, 5);
    const auto groups = channel_groups(net.finish({b, c}), false);
    ASSERT_EQ(groups.size(), second == 6 ? 1u : 0u);
    if (second == 6) {
      EXPECT_EQ(groups[0].cap, 6);
    }
  }
}

TEST(ChannelGroups, ArePinnedByWhatIsNotHomogeneous) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = channel_groups_convolve(net, x, 3, 8);
  const ValueId b = channel_groups_convolve(net, net.node("Sigmoid", {a}), 8, 5);
  EXPECT_TRUE(channel_groups(net.finish({b}), true).empty());
}

struct ChannelGroupsLayer {
  const char* what;
  Graph graph;
};

/// Layers of every kind that can be scaled, one node each.
std::vector<ChannelGroupsLayer> layers() {
  std::vector<ChannelGroupsLayer> all;
  const auto add = [&](const char* what, const std::string& op, Shape input, Shape weights,
                       std::int64_t outputs, const test::AttributeList& attributes) {
    Network net;
    const ValueId x = net.input("x", std::move(input));
    const ValueId w = net.random(weights);
    all.push_back({what, net.finish({net.node(op, {x, w, net.random({outputs})}, attributes)})});
  };
  add("Conv", "Conv", {1, 4, 5, 5}, {6, 4, 3, 3}, 6, {});
  add("Conv in groups", "Conv", {1, 4, 5, 5}, {6, 2, 3, 3}, 6, {{"group", std::int64_t{2}}});
  add("depthwise", "Conv", {1, 4, 5, 5}, {4, 1, 3, 3}, 4, {{"group", std::int64_t{4}}});
  add("Gemm", "Gemm", {1, 4}, {4, 6}, 6, {});
  add("Gemm transposed", "Gemm", {1, 4}, {6, 4}, 6, {{"transB", std::int64_t{1}}});
  add("ConvTranspose", "ConvTranspose", {1, 4, 5, 5}, {4, 6, 3, 3}, 6, {});
  add("ConvTranspose in groups", "ConvTranspose", {1, 4, 5, 5}, {4, 3, 3, 3}, 6,
      {{"group", std::int64_t{2}}});
  return all;
}

/// Channel c (axis 1) times factors[c].
Tensor times(Tensor t, std::span<const float> factors) {
  auto data = t.mutable_data<float>();
  const std::size_t each = data.size() / factors.size();
  for (std::size_t i = 0; i < data.size(); ++i) data[i] *= factors[i / each];
  return t;
}

TEST(ScaleChannels, OfOutputsMultipliesThem) {
  for (const ChannelGroupsLayer& l : layers()) {
    const Tensor x = test::random_tensor(*l.graph.value(l.graph.inputs()[0]).shape, 9);
    const Tensor before = test::evaluate(l.graph, {x})[0];
    std::vector<float> factors(static_cast<std::size_t>(before.shape()[1]), 1.0F);
    factors[1] = 0.25F;
    factors[3] = 3;
    Graph scaled = l.graph;
    scale_output_channels(scaled, scaled.node(0), factors);
    test::expect_close(test::evaluate(scaled, {x})[0], times(before, factors), 1e-6, l.what);
  }
}

TEST(ScaleChannels, OfInputsIsUndoneByTheWeights) {
  for (const ChannelGroupsLayer& l : layers()) {
    const Tensor x = test::random_tensor(*l.graph.value(l.graph.inputs()[0]).shape, 9);
    const std::vector<float> factors = {1, 0.25F, 3, 5};
    Graph scaled = l.graph;
    unscale_input_channels(scaled, scaled.node(0), factors);
    test::expect_close(test::evaluate(scaled, {times(x, factors)})[0],
                       test::evaluate(l.graph, {x})[0], 1e-6, l.what);
  }
}

TEST(ChannelMaxima, FollowTheirChannel) {
  for (const ChannelGroupsLayer& l : layers()) {
    const Node& n = l.graph.node(0);
    auto outputs = output_channel_maxima(l.graph, n);
    auto inputs = input_channel_maxima(l.graph, n);
    Graph scaled = l.graph;
    std::vector<float> factors(outputs.size(), 1.0F);
    factors[2] = 7;
    scale_output_channels(scaled, n, factors);
    outputs[2] *= 7;
    EXPECT_EQ(output_channel_maxima(scaled, n), outputs) << l.what;
    scaled = l.graph;
    const std::vector<float> halves = {1, 1, 1, 0.5F};
    unscale_input_channels(scaled, n, halves);
    inputs[3] *= 2;
    EXPECT_EQ(input_channel_maxima(scaled, n), inputs) << l.what;
  }
}

}  // namespace
}  // namespace espquant::quant
