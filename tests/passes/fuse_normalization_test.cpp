#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

ValueId mean(Network& n, ValueId v, const test::Ints& axes) {
  return n.node("ReduceMean", {v, n.ints(axes)});
}

/// sqrt(mean(v^2) + epsilon).
ValueId deviation(Network& n, ValueId v, const test::Ints& axes, bool pow = true) {
  const ValueId square = pow ? n.node("Pow", {v, n.scalar(2)}) : n.node("Mul", {v, v});
  return n.node("Sqrt", {n.node("Add", {mean(n, square, axes), n.scalar(1e-3F)})});
}

TEST(FuseLayerNormalization, WithAndWithoutScaleAndBias) {
  for (const int parts : {0, 1, 2}) {
    Network n(18);
    const ValueId x = n.input("x", {2, 3, 8});
    const ValueId centred = n.node("Sub", {x, mean(n, x, {-1})});
    ValueId y = n.node("Div", {centred, deviation(n, centred, {-1})});
    if (parts > 0) y = n.node("Mul", {y, n.random({8})});
    if (parts > 1) y = n.node("Add", {n.random({8}), y});
    const Graph graph = after_pass(fuse_layer_normalization, n.finish({y}), 1e-5);
    EXPECT_EQ(operators_of(graph), Operators{"LayerNormalization"});
    EXPECT_EQ(the_node(graph, "LayerNormalization").inputs.size(), parts > 1 ? 3U : 2U);
  }
}

TEST(FuseLayerNormalization, CentredTwiceAndOverSeveralAxes) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 8});
  const ValueId m = mean(n, x, {1, 2});
  const ValueId y =
      n.node("Div", {n.node("Sub", {x, m}), deviation(n, n.node("Sub", {x, m}), {2, 1}, false)});
  const Graph graph =
      after_pass(fuse_layer_normalization, n.finish({n.node("Mul", {y, n.random({3, 8})})}), 1e-5);
  EXPECT_EQ(operators_of(graph), Operators{"LayerNormalization"});
  EXPECT_EQ(the_node(graph, "LayerNormalization").attributes.get_int("axis", 0), -2);
}

TEST(FuseLayerNormalization, NotOverOtherAxesPowersOrWithOtherReaders) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 4, 8});
  const ValueId over_middle = n.node("Sub", {x, mean(n, x, {2})});
  const ValueId cubed = n.node("Sub", {x, mean(n, x, {3})});
  const ValueId cube = n.node("Pow", {cubed, n.scalar(3)});
  const ValueId shared = n.node("Sub", {x, mean(n, x, {3})});
  const ValueId uneven = n.node("Sub", {x, mean(n, x, {3})});
  expect_untouched(
      fuse_layer_normalization,
      n.finish({n.node("Div", {over_middle, deviation(n, over_middle, {2})}),
                n.node("Div", {cubed, n.node("Sqrt", {mean(n, cube, {3})})}),
                n.node("Div", {shared, deviation(n, shared, {3})}), n.node("Relu", {shared}),
                n.node("Div", {uneven, deviation(n, uneven, {2, 3})})}));
}

TEST(FuseRmsNormalization, InEverySpelling) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 8}), scale = n.random({8});
  const ValueId by_div = n.node("Div", {x, deviation(n, x, {-1})});
  const ValueId by_reciprocal =
      n.node("Mul", {x, n.node("Reciprocal", {deviation(n, x, {2}, false)})});
  const ValueId by_one = n.node("Mul", {n.node("Div", {n.scalar(1), deviation(n, x, {-1})}), x});
  const Graph graph = after_pass(
      fuse_rms_normalization,
      n.finish({n.node("Mul", {by_div, scale}), n.node("Mul", {scale, by_reciprocal}),
                n.node("Mul", {by_one, n.scalar(2)}), n.node("Div", {x, deviation(n, x, {1, 2})})}),
      1e-5);
  EXPECT_EQ(operators_of(graph), Operators(4, "RMSNormalization"));
}

TEST(FuseRmsNormalization, NotWithAScaleOfAnotherShapeAxesOrReaders) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 4, 8});
  const ValueId root = deviation(n, x, {-1});
  expect_untouched(fuse_rms_normalization, n.finish({n.node("Div", {x, deviation(n, x, {2})}),
                                                     n.node("Div", {x, root}), root}));
}

TEST(FuseLpNormalization, WithAndWithoutClipAndExpand) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 8});
  const ValueId l2 = n.node("ReduceL2", {x, n.ints({1})});
  const ValueId floor = n.node("Clip", {l2, n.scalar(1e-12F)});
  const ValueId l1 = n.node("ReduceL1", {x, n.ints({-1})});
  const Graph graph =
      after_pass(fuse_lp_normalization,
                 n.finish({n.node("Div", {x, n.node("Expand", {floor, n.ints({2, 3, 8})})}),
                           n.node("Div", {x, l1})}),
                 1e-5);
  EXPECT_EQ(operators_of(graph), Operators(2, "LpNormalization"));
}

TEST(FuseLpNormalization, NotWithARealFloorOrTwoAxes) {
  Network n(18);
  const ValueId x = n.input("x", {2, 3, 8});
  const ValueId floor = n.node("Clip", {n.node("ReduceL2", {x, n.ints({1})}), n.scalar(0.5F)});
  expect_untouched(fuse_lp_normalization,
                   n.finish({n.node("Div", {x, floor}),
                             n.node("Div", {x, n.node("ReduceL2", {x, n.ints({1, 2})})})}));
}

}  // namespace
}  // namespace espquant::passes
