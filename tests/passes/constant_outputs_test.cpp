#include "passes/constant_outputs.h"

#include "tests/support/network.h"

namespace espquant::passes {
namespace {

using Names = std::vector<std::string>;

TEST(ConstantOutputs, GoWithWhatMakesThem) {
  test::Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId anchors = net.node("Exp", {net.random({3})});
  const ValueId shape = net.node("Shape", {x});
  Graph graph = net.finish({anchors, net.node("Relu", {x}), shape});
  const std::string anchors_name = graph.value(anchors).name, shape_name = graph.value(shape).name;
  EXPECT_EQ(drop_constant_outputs(graph), (Names{anchors_name, shape_name}));
  verify(graph, "test");
  EXPECT_EQ(test::operators_of(graph), Names{"Relu"});
}

TEST(ConstantOutputs, StayWhereThereAreNoOthers) {
  test::Network net;
  net.input("x", {1, 4});
  Graph graph = net.finish({net.node("Exp", {net.random({3})})});
  EXPECT_TRUE(drop_constant_outputs(graph).empty());
  EXPECT_EQ(graph.outputs().size(), 1U);
}

}  // namespace
}  // namespace espquant::passes
