#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

TEST(FoldConstants, ComputesNodesWithConstantInputs) {
  Network n;
  const ValueId x = n.input("x", {2});
  const ValueId sum = n.node("Add", {n.floats({2}, {1, 2}), n.scalar(3)});
  const Graph graph =
      after_pass(fold_constants, n.finish({n.node("Mul", {x, n.node("Neg", {sum})})}));
  EXPECT_EQ(operators_of(graph), Operators{"Mul"});
  EXPECT_TRUE(graph.value(the_node(graph, "Mul").inputs[1])
                  .constant.equals(Tensor::of<float>({2}, {-4, -5})));
}

TEST(FoldConstants, ComputesShapesOfStaticValues) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 4});
  const ValueId relu = n.node("Relu", {x});
  const ValueId batch = n.node("Gather", {n.node("Shape", {relu}), n.ints({0})});
  const ValueId shape = n.node("Concat", {batch, n.ints({-1})}, {{"axis", std::int64_t{0}}});
  const Graph graph = after_pass(fold_constants, n.finish({n.node("Reshape", {relu, shape})}));
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Reshape"}));
}

TEST(FoldConstants, KeepsTheNameOfAConstantOutput) {
  Network n;
  n.input("x", {2});
  const Graph graph = after_pass(fold_constants, n.finish({n.node("Neg", {n.scalar(3)})}));
  EXPECT_TRUE(operators_of(graph).empty());
  EXPECT_TRUE(graph.value(graph.outputs()[0]).constant.equals(Tensor::scalar(-3.F)));
}

TEST(FoldConstants, LeavesHugeResultsAlone) {
  Network n;
  n.input("x", {1});
  const ValueId big = n.node("ConstantOfShape", {n.ints({1 << 13, 1 << 13})});
  Graph graph = n.finish({big});
  EXPECT_EQ(fold_constants(graph), 0);
}

}  // namespace
}  // namespace espquant::passes
