#include "quant/groups.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/network.h"

namespace espquant::quant {
namespace {

using test::Network;

bool share(const ValueSets& sets, ValueId a, ValueId b) { return sets.find(a) == sets.find(b); }

ValueId groups_convolve(Network& net, ValueId x) {
  return net.node("Conv", {x, net.random({4, 4, 1, 1}), net.random({4})});
}

TEST(ValueSets, AreRepresentedByTheSmallestMemberInAnyOrderOfJoins) {
  ValueSets forward(6), backward(6);
  forward.join(1, 3);
  forward.join(3, 5);
  backward.join(5, 3);
  backward.join(3, 1);
  for (const ValueSets* sets : {&forward, &backward}) {
    EXPECT_EQ(sets->find(5), 1);
    EXPECT_EQ(sets->members()[1], (std::vector<ValueId>{1, 3, 5}));
    EXPECT_EQ(sets->members()[2], (std::vector<ValueId>{2}));
    EXPECT_TRUE(sets->members()[3].empty());
  }
}

TEST(ExponentGroups, JoinWhatOnlyMovesData) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId pooled = net.node("MaxPool", {x}, {{"kernel_shape", test::Ints{2, 2}}});
  const ValueId turned = net.node("Transpose", {pooled}, {{"perm", test::Ints{0, 2, 3, 1}}});
  const ValueId curved = net.node("Sigmoid", {turned});
  const ValueSets sets = exponent_groups(net.finish({curved}));
  EXPECT_TRUE(share(sets, x, pooled));
  EXPECT_TRUE(share(sets, x, turned));
  EXPECT_FALSE(share(sets, x, curved));
}

TEST(ExponentGroups, JoinTheHiddenStatesOfARecurrentLayer) {
  Network net;
  const ValueId x = net.input("x", {5, 1, 3}), before = net.input("h", {1, 1, 4});
  const auto out =
      net.nodes("LSTM", {x, net.random({1, 16, 3}), net.random({1, 16, 4}), kNone, kNone, before},
                {{"hidden_size", std::int64_t{4}}}, 3);
  const ValueId capped = net.node("Relu", {out[0]});
  const ValueSets sets = exponent_groups(net.finish({capped, out[1], out[2]}));
  EXPECT_TRUE(share(sets, out[0], out[1]));
  EXPECT_TRUE(share(sets, out[0], before)) << "fed back by the application";
  EXPECT_FALSE(share(sets, out[0], out[2])) << "the cell state";
  EXPECT_FALSE(share(sets, out[0], capped)) << "the layer itself reads its output, too";
}

TEST(ExponentGroups, JoinALayerAndItsActivation) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId y = groups_convolve(net, x);
  const ValueId capped = net.node("Clip", {y, net.scalar(0), net.scalar(6)});
  const ValueSets sets = exponent_groups(net.finish({capped}));
  EXPECT_TRUE(share(sets, y, capped));
  EXPECT_FALSE(share(sets, x, y));
}

TEST(ExponentGroups, OperandsOfAnAddJoinItUnlessTheyAreReadElsewhereToo) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId branched = groups_convolve(net, x);
  const ValueId own = groups_convolve(net, branched);
  const ValueId sum = net.node("Add", {branched, own});
  const ValueId last = groups_convolve(net, sum);
  const ValueSets sets = exponent_groups(net.finish({last}));
  EXPECT_TRUE(share(sets, own, sum));
  EXPECT_FALSE(share(sets, branched, sum));
}

TEST(ExponentGroups, InputsAndOutputsOfTheNetworkDoNotJoinAnAdd) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId y = net.node("Sigmoid", {x});
  const ValueId sum = net.node("Add", {x, y});
  const ValueSets sets = exponent_groups(net.finish({sum, y}));
  EXPECT_FALSE(share(sets, x, sum));
  EXPECT_FALSE(share(sets, y, sum));
}

TEST(FollowingActivation, IsTheOnlyReader) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId alone = groups_convolve(net, x);
  const ValueId relu = net.node("Relu", {alone});
  const ValueId shared = groups_convolve(net, relu);
  const ValueId a = net.node("Relu", {shared}), b = net.node("Sigmoid", {shared});
  const ValueId shown = groups_convolve(net, a);
  const ValueId c = net.node("Relu", {shown});
  const Graph graph = net.finish({b, c, shown});
  const auto following = [&](ValueId v) {
    return following_activation(graph, graph.value(v).producer);
  };
  EXPECT_EQ(following(alone), graph.value(relu).producer);
  EXPECT_EQ(following(shared), kNone) << "read by two nodes";
  EXPECT_EQ(following(shown), kNone) << "an output of the network";
  EXPECT_EQ(following(relu), kNone) << "read by a Conv";
}

TEST(ClipBounds, AreInfiniteWhereMissingAndUnknownWhereComputed) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId computed = net.node("ReduceMax", {x}, {{"keepdims", std::int64_t{0}}});
  const ValueId relu = net.node("Clip", {x, net.scalar(0)});
  const ValueId relu6 = net.node("Clip", {x, net.scalar(0), net.scalar(6)});
  const ValueId open = net.node("Clip", {x, kNone, computed});
  const Graph graph = net.finish({relu, relu6, open});
  const auto bounds = [&](ValueId v) {
    return clip_bounds(graph, graph.node(graph.value(v).producer));
  };
  EXPECT_EQ(bounds(relu)->min, 0);
  EXPECT_EQ(bounds(relu)->max, std::numeric_limits<float>::infinity());
  EXPECT_EQ(bounds(relu6)->max, 6);
  EXPECT_FALSE(bounds(open).has_value());
}

TEST(IsWeighted, NeedsConstantWeights) {
  Network net;
  const ValueId x = net.input("x", {4, 4});
  const ValueId constant = net.node("MatMul", {x, net.random({4, 4})});
  const ValueId computed = net.node("MatMul", {x, constant});
  const ValueId product = net.node("Mul", {computed, net.random({4, 4})});
  const Graph graph = net.finish({product});
  const auto weighted = [&](ValueId v) {
    return is_weighted(graph, graph.node(graph.value(v).producer));
  };
  EXPECT_TRUE(weighted(constant));
  EXPECT_FALSE(weighted(computed));
  EXPECT_FALSE(weighted(product));
}

TEST(ScaleGroups, ReachFromLayerToLayerThroughHomogeneousNodes) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId y = groups_convolve(net, x);
  const ValueId relu = net.node("Relu", {y});
  const ValueId sum = net.node("Add", {relu, groups_convolve(net, relu)});
  const ValueId last = groups_convolve(net, sum);
  const ScaleGroups groups = scale_groups(net.finish({last}));
  EXPECT_TRUE(share(groups.sets, y, sum));
  EXPECT_FALSE(groups.fixed[static_cast<std::size_t>(groups.sets.find(y))]);
  for (ValueId port : {x, last}) {
    EXPECT_FALSE(share(groups.sets, port, y));
    EXPECT_TRUE(groups.fixed[static_cast<std::size_t>(groups.sets.find(port))]);
  }
}

TEST(ScaleGroups, AreFixedByWhatIsNotHomogeneous) {
  for (const char* op : {"Sigmoid", "Add"}) {
    Network net;
    const ValueId x = net.input("x", {1, 4, 6, 6});
    const ValueId y = groups_convolve(net, x);
    const bool adds = std::string(op) == "Add";
    const ValueId z = adds ? net.node(op, {y, net.scalar(1)}) : net.node(op, {y});
    const ValueId last = groups_convolve(net, z);
    const ScaleGroups groups = scale_groups(net.finish({last}));
    EXPECT_TRUE(groups.fixed[static_cast<std::size_t>(groups.sets.find(y))]) << op;
    EXPECT_TRUE(groups.fixed[static_cast<std::size_t>(groups.sets.find(z))]) << op;
  }
}

}  // namespace
}  // namespace espquant::quant
