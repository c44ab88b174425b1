#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

/// Rewrites into operators that move data: they keep every bit.
namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

constexpr double kExactly = 0;

ValueId index_tuples(Network& n, Shape shape, const Ints& values) {
  return n.constant(Tensor::of<std::int64_t>(std::move(shape), values));
}

TEST(MoveExpanded, ABroadcastingReaderTakesTheOperandItself) {
  Network n;
  const ValueId x = n.input("x", {1, 3, 1}), y = n.input("y", {1, 3, 5});
  const ValueId wide = n.node("Expand", {x, n.ints({1, 3, 5})});
  const Graph graph = after_pass(move_expanded, n.finish({n.node("Add", {y, wide})}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Add"}));
}

TEST(MoveExpanded, WhereNothingElseGivesTheShapeCopiesAreGathered) {
  Network n;
  const ValueId x = n.input("x", {3, 1});
  const Graph graph =
      after_pass(move_expanded, n.finish({n.node("Expand", {x, n.ints({2, 3, 4})})}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Reshape", "Gather", "Gather"}));
}

TEST(MoveExpanded, TileRepeatsBlocks) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3});
  const Graph graph =
      after_pass(move_expanded, n.finish({n.node("Tile", {x, n.ints({1, 2, 3})})}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Gather", "Gather"}));
}

/// (1,3,4,5,2) with what another operand of that shape gives to it.
struct FiveAxes {
  Network n;
  ValueId x = n.input("x", {1, 3, 4, 5, 2});
  Graph with(const char* op, const Shape& other, bool swapped = false) {
    const ValueId c = n.constant(test::random_tensor(other, 7, 0.5F, 2));
    return n.finish({swapped ? n.node(op, {c, x}) : n.node(op, {x, c})});
  }
};

TEST(MergeBroadcastAxes, NeighboursThatAreRepeatedAlikeBecomeOne) {
  const std::vector<std::pair<Shape, Shape>> cases = {{{}, {120}},  // by one number
                                                      {{1, 3, 1, 1, 2}, {3, 20, 2}},  // anchors
                                                      {{1, 1, 4, 5, 2}, {3, 40}},     // a grid
                                                      {{2}, {60, 2}},
                                                      {{4, 1, 1}, {3, 4, 10}},
                                                      {{1, 3, 4, 5, 2}, {120}}};
  for (const auto& [other, merged] : cases)
    for (const char* op : {"Add", "Sub", "Mul", "Div"})
      for (const bool swapped : {false, true}) {
        if (swapped && std::string_view(op) == "Div") continue;  // by what may be next to 0
        const Graph graph =
            after_pass(merge_broadcast_axes, FiveAxes().with(op, other, swapped), kExactly);
        EXPECT_EQ(operators_of(graph), (Operators{"Reshape", op, "Reshape"}));
        EXPECT_EQ(*graph.value(the_node(graph, op).outputs[0]).shape, merged) << to_string(other);
      }
}

TEST(MergeBroadcastAxes, BothOperandsAreReshapedWhereBothAreComputed) {
  Network n;
  const ValueId x = n.input("x", {1, 3, 4, 5, 2}), y = n.input("y", {1, 3, 1, 1, 2});
  const Graph graph = after_pass(merge_broadcast_axes, n.finish({n.node("Mul", {x, y})}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Reshape", "Reshape", "Mul", "Reshape"}));
}

TEST(MergeBroadcastAxes, MatricesOfTheSameBatchesStandInARow) {
  Network n;
  const ValueId a = n.input("a", {1, 2, 3, 4, 5}), b = n.input("b", {1, 2, 3, 5, 2});
  const Graph graph = after_pass(merge_broadcast_axes, n.finish({n.node("MatMul", {a, b})}));
  EXPECT_EQ(operators_of(graph), (Operators{"Reshape", "Reshape", "MatMul", "Reshape"}));
  EXPECT_EQ(*graph.value(the_node(graph, "MatMul").outputs[0]).shape, (Shape{6, 4, 2}));
}

TEST(MergeBroadcastAxes, FewerAxesAndMoreGroupsStay) {
  Network few;
  const ValueId x = few.input("x", {3, 4, 5, 2});
  expect_untouched(merge_broadcast_axes, few.finish({few.node("Mul", {x, few.random({5, 1})})}));
  Network many;
  const ValueId a = many.input("a", {2, 1, 2, 1, 2}), b = many.input("b", {1, 2, 1, 2, 1});
  expect_untouched(merge_broadcast_axes, many.finish({many.node("Add", {a, b})}));
}

TEST(ResizeSingle, OneElementIsRepeatedInEveryMode) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    Network n;
    const ValueId x = n.input("x", {1, 3, 1, 1});
    const ValueId y =
        n.node("Resize", {x, kNone, kNone, n.ints({1, 3, 2, 4})}, {{"mode", std::string(mode)}});
    const Graph graph = after_pass(resize_single, n.finish({y}));
    EXPECT_EQ(operators_of(graph), (Operators{"Expand"})) << mode;
  }
}

TEST(ResizeSingle, OtherAxesAreStillResized) {
  for (const bool by_sizes : {false, true}) {
    Network n;
    const ValueId x = n.input("x", {1, 2, 1, 3});
    const ValueId y = n.node("Resize",
                             {x, kNone, by_sizes ? kNone : n.floats({4}, {1, 1, 4, 2}),
                              by_sizes ? n.ints({1, 2, 4, 6}) : kNone},
                             {{"mode", std::string("linear")}});
    const Graph graph = after_pass(resize_single, n.finish({y}));
    EXPECT_EQ(operators_of(graph), (Operators{"Resize", "Expand"}));
  }
}

TEST(ScatterByPosition, ABoxIsPutBetweenSlices) {
  Network n;
  const ValueId x = n.input("x", {4, 5}), u = n.input("u", {2, 5});
  const ValueId y = n.node("ScatterND", {x, index_tuples(n, {2, 1}, {1, 2}), u});
  const Graph graph = after_pass(scatter_by_position, n.finish({y}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Slice", "Slice", "Concat"}));
}

TEST(ScatterByPosition, ABoxInTwoAxes) {
  Network n;
  const ValueId x = n.input("x", {3, 4}), u = n.input("u", {1, 2});
  const ValueId y = n.node("ScatterND", {x, index_tuples(n, {1, 2, 2}, {1, 1, 1, 2}), u});
  const Graph graph = after_pass(scatter_by_position, n.finish({y}), kExactly);
  for (const std::string& op : operators_of(graph)) EXPECT_TRUE(op == "Slice" || op == "Concat");
}

TEST(ScatterByPosition, ScatteredSlicesAreGathered) {
  Network n;
  const ValueId x = n.input("x", {2, 6}), u = n.input("u", {2, 2});
  const ValueId y = n.node("ScatterElements", {x, index_tuples(n, {2, 2}, {5, 1, 5, 1}), u},
                           {{"axis", std::int64_t{1}}});
  const Graph graph = after_pass(scatter_by_position, n.finish({y}), kExactly);
  EXPECT_EQ(operators_of(graph).back(), "Gather");
}

TEST(ScatterByPosition, SingleElementsAndThoseWrittenTwice) {
  Network n;
  const ValueId x = n.input("x", {3, 3}), u = n.input("u", {1, 3});
  const ValueId y = n.node("ScatterElements", {x, index_tuples(n, {1, 3}, {2, 0, 1}), u});
  const ValueId twice =
      n.node("ScatterND", {y, index_tuples(n, {2, 1}, {1, 1}), n.input("v", {2, 3})});
  after_pass(scatter_by_position, n.finish({y, twice}), kExactly);
}

TEST(ScatterByPosition, GatherElementsAndGatherNd) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const ValueId slices = n.node("GatherElements", {x, index_tuples(n, {2, 2}, {2, 0, 2, 0})},
                                {{"axis", std::int64_t{1}}}),
                single = n.node("GatherND", {x, index_tuples(n, {2, 2}, {1, 2, 0, 1})});
  const Graph graph = after_pass(scatter_by_position, n.finish({slices, single}), kExactly);
  for (const std::string& op : operators_of(graph)) EXPECT_TRUE(op == "Gather" || op == "Reshape");
}

TEST(ScatterByPosition, WhatCombinesStays) {
  Network n(18);
  const ValueId x = n.input("x", {4}), u = n.input("u", {1});
  expect_untouched(scatter_by_position,
                   n.finish({n.node("ScatterND", {x, index_tuples(n, {1, 1}, {2}), u},
                                    {{"reduction", std::string("add")}})}));
}

TEST(OrderDepthSpace, ChannelsAreGatheredIntoTheRuntimesOrder) {
  Network n;
  const ValueId x = n.input("x", {1, 12, 2, 3});
  const ValueId y = n.node("DepthToSpace", {x}, {{"blocksize", std::int64_t{2}}});
  const Graph graph = after_pass(order_depth_space, n.finish({y}), kExactly);
  EXPECT_EQ(operators_of(graph), (Operators{"Gather", "DepthToSpace"}));
  EXPECT_EQ(the_node(graph, "DepthToSpace").attributes.get_string("mode", ""), "CRD");

  Network m;
  const ValueId z =
      m.node("SpaceToDepth", {m.input("x", {1, 3, 4, 6})}, {{"blocksize", std::int64_t{2}}});
  EXPECT_EQ(operators_of(after_pass(order_depth_space, m.finish({z}), kExactly)),
            (Operators{"SpaceToDepth", "Gather"}));
}

Graph space_to_batch_network(bool second_phase_first) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 4, 6});
  // To a batch of rows apart by 2 and columns apart by 3.
  ValueId v = n.node("Reshape", {x, n.ints({1, 2, 2, 2, 2, 3})});
  v = n.node("Transpose", {v}, {{"perm", Ints{3, 5, 0, 1, 2, 4}}});
  v = n.node("Reshape", {v, n.ints({6, 2, 2, 2})});
  v = n.node("Conv", {v, n.random({4, 2, 3, 3}), n.random({4})}, {{"pads", Ints{1, 1, 1, 1}}});
  v = n.node("Relu", {v});
  v = n.node("Reshape", {v, n.ints({2, 3, 1, 4, 2, 2})});
  const Ints back = second_phase_first ? Ints{2, 3, 4, 1, 5, 0} : Ints{2, 3, 4, 0, 5, 1};
  v = n.node("Transpose", {v}, {{"perm", back}});
  return n.finish({n.node("Reshape", {v, n.ints({1, 4, 4, 6})})});
}

TEST(SpaceToBatch, AConvolutionBetweenIsDilated) {
  const Graph graph = after_pass(space_to_batch, space_to_batch_network(false));
  EXPECT_EQ(operators_of(graph), (Operators{"Conv", "Relu"}));
  EXPECT_EQ(the_node(graph, "Conv").attributes.get_ints("dilations"), (Ints{2, 3}));
  EXPECT_EQ(the_node(graph, "Conv").attributes.get_ints("pads"), (Ints{2, 3, 2, 3}));
}

TEST(SpaceToBatch, PhasesThatComeBackMixedUpStay) {
  const Graph before = space_to_batch_network(true);
  expect_untouched(space_to_batch, before);
}

TEST(ReverseByPosition, OneLengthIsAGatherOfSteps) {
  Network n;
  const ValueId x = n.input("x", {5, 2, 3});
  const Graph graph =
      after_pass(reverse_by_position, n.finish({n.node("ReverseSequence", {x, n.ints({4, 4})})}));
  EXPECT_EQ(operators_of(graph), Operators{"Gather"});
}

TEST(ReverseByPosition, LengthsOfTheirOwnAreAGatherOfBoth) {
  for (const std::int64_t batch_axis : {0, 1}) {
    Network n;
    const ValueId x = n.input("x", batch_axis == 0 ? Shape{3, 4, 2} : Shape{4, 3, 2});
    const Graph graph =
        after_pass(reverse_by_position,
                   n.finish({n.node("ReverseSequence", {x, n.ints({1, 4, 2})},
                                    {{"batch_axis", batch_axis}, {"time_axis", 1 - batch_axis}})}));
    EXPECT_EQ(operators_of(graph), (Operators{"Reshape", "Gather", "Reshape"}));
  }
}

}  // namespace
}  // namespace espquant::passes
