#include "compress/channels.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "quant/weights.h"
#include "tests/support/network.h"

namespace espquant::compress {
namespace {

using test::Ints;
using test::Network;

ValueId convolved(Network& net, ValueId x, std::int64_t from, std::int64_t to,
                  std::int64_t group = 1, std::int64_t kernel = 1) {
  return net.node("Conv", {x, net.random({to, from / group, kernel, kernel}), net.random({to})},
                  {{"group", group}, {"kernel_shape", Ints{kernel, kernel}}});
}

const Channels::Group* group_of(const Channels& channels, ValueId v) {
  for (const auto& group : channels.groups())
    if (std::find(group.values.begin(), group.values.end(), v) != group.values.end()) return &group;
  return nullptr;
}

/// Marks every other class of each group for removal, and makes the layers that read those classes
/// ignore them: then the network without them must compute the same.
void expect_removal_is_exact(Graph graph, std::size_t groups) {
  const Channels channels(graph);
  EXPECT_EQ(channels.groups().size(), groups);
  std::vector<bool> kept(channels.class_count(), true);
  for (const auto& group : channels.groups()) {
    for (std::size_t i = 1; i < group.classes.size(); i += 2)
      kept[static_cast<std::size_t>(group.classes[i])] = false;
  }
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!has_weights(graph, n) || is_depthwise(graph, n)) continue;
    const auto classes = channels.classes_of(n.inputs[0]);
    if (classes.empty()) continue;
    quant::WeightRows rows = quant::weight_rows(graph, n);
    const std::int64_t each = rows.columns / static_cast<std::int64_t>(classes.size());
    for (std::int64_t r = 0; r < rows.rows; ++r)
      for (std::int64_t k = 0; k < rows.columns; ++k)
        if (!kept[static_cast<std::size_t>(classes[static_cast<std::size_t>(k / each)])])
          rows.values[static_cast<std::size_t>(r * rows.columns + k)] = 0;
    quant::set_weight_rows(graph, n, rows.values);
  }
  const Graph smaller = without_channels(graph, channels, kept);
  verify(smaller, "without_channels");
  std::int64_t before = 0, after = 0;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (graph.value(id).is_constant()) continue;
    before += element_count(*graph.value(id).shape);
    after += element_count(*smaller.value(id).shape);
  }
  EXPECT_LT(after, before);
  test::expect_same_function(smaller, graph);
}

TEST(Channels, OfALayerGoWithItsReaders) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 3, 5, 5}), 3, 8, 1, 3);
  const ValueId relu = net.node("Relu", {a});
  const ValueId b = convolved(net, relu, 8, 5);
  const Graph graph = net.finish({b});
  const Channels channels(graph);
  ASSERT_EQ(channels.groups().size(), 1U);
  EXPECT_EQ(channels.groups()[0].classes.size(), 8U);
  EXPECT_EQ(channels.groups()[0].writers, std::vector<NodeId>{graph.value(a).producer});
  EXPECT_EQ(channels.groups()[0].readers, std::vector<NodeId>{graph.value(b).producer});
  EXPECT_EQ(channels.axis_of(graph.inputs()[0]), -1);
  expect_removal_is_exact(graph, 1);
}

TEST(Channels, OfAnAddGoTogether) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  const ValueId inner = net.node("Relu", {convolved(net, a, 6, 4)});
  const ValueId sum = net.node("Add", {a, convolved(net, inner, 4, 6)});
  const Graph graph = net.finish({convolved(net, sum, 6, 2)});
  const Channels channels(graph);
  EXPECT_EQ(group_of(channels, a), group_of(channels, sum));
  EXPECT_EQ(group_of(channels, a)->writers.size(), 2U);
  EXPECT_EQ(group_of(channels, a)->readers.size(), 2U);
  expect_removal_is_exact(graph, 2);
}

TEST(Channels, PassThroughDepthwiseFilters) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 3, 6, 6}), 3, 4);
  // Two filters for each channel.
  const ValueId deep =
      net.node("Clip", {convolved(net, a, 4, 8, 4, 3), net.scalar(0), net.scalar(6)});
  const Graph graph = net.finish({convolved(net, deep, 8, 3)});
  const Channels channels(graph);
  ASSERT_EQ(channels.groups().size(), 1U);
  EXPECT_EQ(channels.groups()[0].classes.size(), 4U);
  EXPECT_EQ(channels.classes_of(deep)[0], channels.classes_of(deep)[1]);
  expect_removal_is_exact(graph, 1);
}

TEST(Channels, SpreadOverAFlatten) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 2, 3, 4}), 2, 6);
  const ValueId flat = net.node("Flatten", {net.node("Relu", {a})});
  expect_removal_is_exact(
      net.finish({net.node("Gemm", {flat, net.random({72, 5}), net.random({5})})}), 1);
}

TEST(Channels, AreFollowedThroughTransposeAndReshape) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 2, 3, 4}), 2, 6);
  const ValueId last = net.node("Transpose", {a}, {{"perm", Ints{0, 2, 3, 1}}});
  const ValueId rows = net.node("Reshape", {last, net.ints({1, 12, 6})});
  const ValueId product = net.node("MatMul", {rows, net.random({6, 4})});
  const ValueId line = net.node("Reshape", {product, net.ints({1, -1})});
  expect_removal_is_exact(net.finish({net.node("Gemm", {line, net.random({7, 48}), net.random({7})},
                                               {{"transB", std::int64_t{1}}})}),
                          2);
}

TEST(Channels, AreFollowedThroughConcatSliceSplitAndPad) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = convolved(net, x, 3, 6), b = convolved(net, x, 3, 4);
  const ValueId both = net.node("Concat", {a, b}, {{"axis", std::int64_t{1}}});
  const ValueId middle = net.node("Slice", {both, net.ints({2}), net.ints({8}), net.ints({1})});
  const auto parts = net.nodes("Split", {both, net.ints({7, 3})}, {{"axis", std::int64_t{1}}}, 2);
  const ValueId padded = net.node("Pad", {a, net.ints({0, 2, 0, 0, 0, 4, 0, 0})});
  const ValueId wide = net.node("Add", {padded, convolved(net, x, 3, 12)});
  std::vector<ValueId> outputs{convolved(net, middle, 6, 2), convolved(net, parts[0], 7, 2),
                               convolved(net, parts[1], 3, 2), convolved(net, wide, 12, 2)};
  const Graph graph = net.finish(outputs);
  const Channels channels(graph);
  EXPECT_EQ(channels.classes_of(middle)[0], channels.classes_of(a)[2]);
  EXPECT_EQ(channels.classes_of(parts[1])[0], channels.classes_of(b)[1]);
  EXPECT_EQ(channels.classes_of(wide)[2], channels.classes_of(a)[0]);
  expect_removal_is_exact(graph, channels.groups().size());
}

TEST(Channels, AreScaledByAttentionAndConstants) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId a = net.node("Mul", {convolved(net, x, 3, 8), net.random({8, 1, 1})});
  const ValueId slopes = net.node("PRelu", {a, net.random({8, 1, 1})});
  const ValueId pooled =
      net.node("ReduceMean", {slopes}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{1}}});
  const ValueId squeezed = net.node("Relu", {convolved(net, pooled, 8, 4)});
  const ValueId gate = net.node("Sigmoid", {convolved(net, squeezed, 4, 8)});
  const ValueId scaled = net.node("Mul", {slopes, gate});
  const ValueId normal = net.node(
      "BatchNormalization",
      {scaled, net.random({8}, 0.5F), net.random({8}), net.random({8}), net.random({8}, 0.5F)});
  const Graph graph = net.finish({convolved(net, normal, 8, 3)});
  // An axis that is not given as a constant is not understood: its channels stay.
  EXPECT_EQ(Channels(graph).groups().size(), 1U);

  Network modern(18);
  const ValueId y = modern.input("x", {1, 3, 4, 4});
  const ValueId first = modern.node("Mul", {convolved(modern, y, 3, 8), modern.random({8, 1, 1})});
  const ValueId mean = modern.node("ReduceMean", {first, modern.ints({2, 3})});
  const ValueId door = modern.node("Sigmoid", {convolved(modern, mean, 8, 8)});
  const ValueId both = modern.node("Mul", {first, door});
  const ValueId bigger =
      modern.node("Resize", {both, kNone, modern.constant(Tensor::of<float>({4}, {1, 1, 2, 2}))});
  expect_removal_is_exact(modern.finish({convolved(modern, bigger, 8, 3)}), 1);
}

TEST(Channels, StayWhereAnythingElseLooksAtThem) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 4, 4});
  const ValueId out = convolved(net, x, 4, 6);  // an output
  const ValueId summed =
      net.node("Softmax", {convolved(net, x, 4, 6)}, {{"axis", std::int64_t{1}}});
  const ValueId with_input = net.node("Add", {x, convolved(net, x, 4, 4)});
  const ValueId grouped = convolved(net, convolved(net, x, 4, 8), 8, 8, 2);
  const Graph graph = net.finish({out, convolved(net, summed, 6, 2),
                                  convolved(net, with_input, 4, 2), convolved(net, grouped, 8, 2)});
  EXPECT_TRUE(Channels(graph).groups().empty());
}

TEST(Channels, ASharedConstantIsCutForEachReader) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId scales = net.random({1, 6, 1, 1});
  const ValueId a = net.node("Mul", {convolved(net, x, 3, 6), scales});
  const ValueId b = net.node("Mul", {convolved(net, x, 3, 6), scales});
  expect_removal_is_exact(net.finish({convolved(net, a, 6, 2), convolved(net, b, 6, 2)}), 2);
}

TEST(Channels, AValueKeepsAChannel) {
  Network net;
  const ValueId a = convolved(net, net.input("x", {1, 3, 4, 4}), 3, 4);
  const Graph graph = net.finish({convolved(net, a, 4, 2)});
  const Channels channels(graph);
  EXPECT_THROW(without_channels(graph, channels, std::vector<bool>(channels.class_count(), false)),
               Error);
}

}  // namespace
}  // namespace espquant::compress
