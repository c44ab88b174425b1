#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

ValueId transpose(Network& n, ValueId v, const Ints& perm) {
  return n.node("Transpose", {v}, {{"perm", perm}});
}
const Ints kToNhwc = {0, 2, 3, 1}, kToNchw = {0, 3, 1, 2};

TEST(MergeTransposes, NeighboursCancelOrBecomeOne) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 4});
  const ValueId back = n.node("Relu", {transpose(n, transpose(n, x, kToNhwc), kToNchw)});
  const ValueId on = transpose(n, transpose(n, x, kToNhwc), kToNhwc);
  const Graph graph = after_pass(merge_transposes, n.finish({back, on}));
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Transpose"}));
  EXPECT_EQ(the_node(graph, "Transpose").attributes.get_ints("perm"), (Ints{0, 3, 1, 2}));
}

TEST(MergeTransposes, CancelAcrossElementwiseNodes) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 4});
  ValueId y = n.node("Relu", {transpose(n, n.node("Neg", {x}), kToNhwc)});
  y = n.node("Add", {y, n.random({2})});
  y = n.node("Mul", {n.random({3, 1, 1}), y});
  y = n.node("Clip", {y, n.scalar(0), n.scalar(6)});
  const Graph graph =
      after_pass(merge_transposes, n.finish({n.node("Neg", {transpose(n, y, kToNchw)})}));
  EXPECT_EQ(operators_of(graph), (Operators{"Neg", "Relu", "Add", "Mul", "Clip", "Neg"}));
}

TEST(MergeTransposes, EqualOnesOfSeveralInputsBecomeOne) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 4}), y = n.input("y", {1, 2, 3, 4});
  const ValueId sum = n.node("Add", {transpose(n, x, kToNhwc), transpose(n, y, kToNhwc)});
  const ValueId joined = n.node("Concat", {transpose(n, x, kToNhwc), transpose(n, y, kToNhwc)},
                                {{"axis", std::int64_t{-1}}});
  const Graph graph = after_pass(merge_transposes, n.finish({sum, joined}));
  EXPECT_EQ(operators_of(graph), (Operators{"Add", "Concat", "Transpose", "Transpose"}));
  EXPECT_EQ(the_node(graph, "Concat").attributes.get_int("axis", 9), 1);
}

TEST(MergeTransposes, LonelyOnesStay) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 3, 4}), y = n.input("y", {1, 4, 3, 2});
  const ValueId shared = transpose(n, x, kToNhwc);
  expect_untouched(
      merge_transposes,
      n.finish({n.node("Relu", {transpose(n, x, kToNhwc)}), n.node("Neg", {shared}), shared,
                n.node("Add", {transpose(n, x, {0, 2, 3, 1}), transpose(n, y, {0, 2, 1, 3})})}));
}

TEST(MergeReshapes, RowsBecomeOne) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 4});
  ValueId y = n.node("Reshape", {x, n.ints({2, 12})});
  y = n.node("Unsqueeze", {y, n.ints({0})});
  y = n.node("Squeeze", {y, n.ints({0})});
  const Graph graph =
      after_pass(merge_reshapes, n.finish({n.node("Flatten", {y}, {{"axis", std::int64_t{0}}})}));
  EXPECT_EQ(operators_of(graph), Operators{"Reshape"});
  EXPECT_EQ(graph.value(graph.outputs()[0]).shape, (Shape{1, 24}));
}

TEST(MergeReshapes, ASingleOneStays) {
  Network n;
  expect_untouched(merge_reshapes, n.finish({n.node("Flatten", {n.input("x", {2, 3, 4})})}));
}

TEST(MergeSlices, OverDifferentAxesBecomeOne) {
  Network n;
  const ValueId x = n.input("x", {1, 2, 6, 6});
  const ValueId rows = n.node("Slice", {x, n.ints({0}), n.ints({99}), n.ints({2}), n.ints({2})});
  const ValueId columns =
      n.node("Slice", {rows, n.ints({-1}), n.ints({-99}), n.ints({-1}), n.ints({-2})});
  const ValueId front = n.node("Slice", {columns, n.ints({0, 1}), n.ints({1, 2})});
  EXPECT_EQ(operators_of(after_pass(merge_slices, n.finish({front}))), Operators{"Slice"});
}

TEST(MergeSlices, OverTheSameAxisOrReadInBetweenTheyStay) {
  Network n;
  const ValueId x = n.input("x", {6, 6});
  const ValueId once = n.node("Slice", {x, n.ints({1}), n.ints({5}), n.ints({0})});
  const ValueId shared = n.node("Slice", {x, n.ints({1}), n.ints({5}), n.ints({0})});
  expect_untouched(merge_slices,
                   n.finish({n.node("Slice", {once, n.ints({1}), n.ints({3}), n.ints({0})}),
                             n.node("Slice", {shared, n.ints({1}), n.ints({3}), n.ints({1})}),
                             n.node("Neg", {shared})}));
}

}  // namespace
}  // namespace espquant::passes
