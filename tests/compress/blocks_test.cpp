#include "compress/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/network.h"

namespace espquant::compress {
namespace {

using test::Ints;
using test::Network;

ValueId layer(Network& net, ValueId x, std::int64_t from, std::int64_t to) {
  return net.node("Relu", {net.node("Conv", {x, net.random({to, from, 1, 1}), net.random({to})})});
}

bool has_block(const std::vector<Block>& blocks, ValueId from, ValueId to) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const Block& b) { return b.from == from && b.to == to; });
}

TEST(Blocks, OfAResidualNetworkAreItsBranchesAndLayers) {
  Network net;
  const ValueId a = layer(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  const ValueId inner = layer(net, a, 6, 9);
  const ValueId back = net.node("Conv", {inner, net.random({6, 9, 1, 1})});
  const ValueId sum = net.node("Add", {a, back});
  const ValueId next = layer(net, sum, 6, 6);
  const Graph graph = net.finish({layer(net, next, 6, 2)});
  const std::vector<Block> blocks = find_blocks(graph);
  // The branch with its Add, and a layer as wide as its input.
  EXPECT_EQ(blocks.size(), 2U);
  EXPECT_TRUE(has_block(blocks, a, sum));
  EXPECT_TRUE(has_block(blocks, sum, next));
  EXPECT_FALSE(has_block(blocks, a, back));
  for (const Block& block : blocks)
    for (NodeId id : block.nodes) EXPECT_NE(graph.node(id).outputs[0], a);

  const auto at = std::find_if(blocks.begin(), blocks.end(),
                               [&](const Block& b) { return b.from == a && b.to == sum; });
  const Graph smaller = without_blocks(graph, {&*at, 1});
  verify(smaller, "without_blocks");
  EXPECT_EQ(test::operators_of(smaller),
            (std::vector<std::string>{"Conv", "Relu", "Conv", "Relu", "Conv", "Relu"}));
}

TEST(Blocks, ThatFollowEachOtherGoTogether) {
  Network net;
  const ValueId a = layer(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  const ValueId b = layer(net, a, 6, 6), c = layer(net, b, 6, 6);
  const Graph graph = net.finish({layer(net, c, 6, 2)});
  std::vector<Block> blocks = find_blocks(graph);
  ASSERT_EQ(blocks.size(), 2U);
  for (int order = 0; order < 2; ++order) {
    const Graph smaller = without_blocks(graph, blocks);
    verify(smaller, "without_blocks");
    EXPECT_EQ(smaller.node(smaller.value(a).consumers.at(0)).op, "Conv");
    EXPECT_EQ(test::operators_of(smaller).size(), 4U);
    std::reverse(blocks.begin(), blocks.end());
  }
}

TEST(Blocks, StayWhereTheirInsideIsReadElsewhere) {
  Network net;
  const ValueId a = layer(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  const ValueId inner = layer(net, a, 6, 9);
  const ValueId back = layer(net, inner, 9, 6);
  const Graph graph = net.finish({layer(net, back, 6, 2), layer(net, inner, 9, 2)});
  EXPECT_TRUE(find_blocks(graph).empty());
}

TEST(Blocks, AnOutputKeepsItsMaker) {
  Network net;
  const ValueId a = layer(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  EXPECT_TRUE(find_blocks(net.finish({layer(net, a, 6, 6)})).empty());
}

TEST(RankBlocks, BeginsWithTheOneThatIsMissedLeast) {
  // The second block adds next to nothing, and the first a lot.
  Network net;
  const ValueId a = layer(net, net.input("x", {1, 3, 4, 4}), 3, 6);
  const auto block = [&](ValueId x, float size) {
    const ValueId inner = layer(net, x, 6, 9);
    return net.node("Add", {x, net.node("Conv", {inner, net.random({6, 9, 1, 1}, -size, size)})});
  };
  const ValueId first = block(a, 2), second = block(first, 0.001F);
  const Graph graph = net.finish({layer(net, second, 6, 2)});
  const calib::SampleSource source{32, [](std::int64_t i) {
                                     return std::vector<Tensor>{test::random_tensor(
                                         {1, 3, 4, 4}, static_cast<std::uint64_t>(i) + 1)};
                                   }};
  const PriceOf nodes = [](const Graph& g) {
    const auto count = static_cast<double>(g.topological_order().size());
    return Price{count, count, count};
  };
  const auto ranked = rank_blocks(graph, source, 32, nodes, {1.0, {}, {}});
  ASSERT_GE(ranked.size(), 2U);
  EXPECT_EQ(ranked[0].block.to, second);
  EXPECT_EQ(ranked[0].saved.milliseconds, 4);
  EXPECT_LT(ranked[0].loss, 1e-4);
  EXPECT_GT(ranked[1].loss, 100 * ranked[0].loss);
  EXPECT_TRUE(rank_blocks(graph, source, 32, nodes, {100.0, {}, {}}).empty());
}

}  // namespace
}  // namespace espquant::compress
