#include "measure/output_parts.h"

#include <gtest/gtest.h>

#include "tests/support/network.h"

namespace espquant::measure {
namespace {

using test::Network;
using Labels = std::vector<std::uint16_t>;
using Names = std::vector<std::string>;

TEST(OutputParts, AnOutputWithoutConcatHasNone) {
  Network net;
  const ValueId x = net.input("x", {1, 3});
  const Graph graph = net.finish({net.node("Relu", {x})});
  EXPECT_TRUE(parts_of_output(graph, graph.outputs()[0]).names.empty());
}

TEST(OutputParts, AreFollowedThroughWhatMovesElements) {
  Network net;
  const ValueId a = net.input("a", {1, 2, 2}), b = net.input("b", {1, 1, 2});
  const ValueId both = net.node("Concat", {a, b}, {{"axis", std::int64_t{1}}});
  const ValueId turned =
      net.node("Transpose", {both}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
  const ValueId flat = net.node("Flatten", {turned});
  const Graph graph = net.finish({net.node("Sigmoid", {flat})});
  const OutputParts parts = parts_of_output(graph, graph.outputs()[0]);
  EXPECT_EQ(parts.names, (Names{"a", "b"}));
  EXPECT_EQ(parts.of_element, (Labels{0, 0, 1, 0, 0, 1}));
}

TEST(OutputParts, ScalesOfTheSamePartsAreOne) {
  Network net;
  std::vector<ValueId> scales;
  for (const char* scale : {"8", "16"}) {
    const ValueId boxes = net.input(std::string("boxes") + scale, {1, 2, 1});
    const ValueId score = net.input(std::string("score") + scale, {1, 1, 1});
    scales.push_back(net.node("Concat", {boxes, score}, {{"axis", std::int64_t{1}}}));
  }
  const Graph graph = net.finish({net.node("Concat", scales, {{"axis", std::int64_t{2}}})});
  const OutputParts parts = parts_of_output(graph, graph.outputs()[0]);
  EXPECT_EQ(parts.names, (Names{"boxes8", "score8"}));
  EXPECT_EQ(parts.of_element, (Labels{0, 0, 0, 0, 1, 1}));
}

TEST(OutputParts, OneOfPartsBesideOneWithoutStandApart) {
  Network net;
  const ValueId a = net.input("a", {1, 1}), b = net.input("b", {1, 1}), c = net.input("c", {1, 2});
  const ValueId inner = net.node("Concat", {a, b}, {{"axis", std::int64_t{1}}});
  const Graph graph = net.finish({net.node("Concat", {c, inner}, {{"axis", std::int64_t{1}}})});
  const OutputParts parts = parts_of_output(graph, graph.outputs()[0]);
  EXPECT_EQ(parts.names, (Names{"c", "a", "b"}));
  EXPECT_EQ(parts.of_element, (Labels{0, 0, 1, 2}));
}

}  // namespace
}  // namespace espquant::measure
