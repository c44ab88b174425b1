#include "report/network.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "report/page.h"
#include "tests/support/network.h"

namespace espquant::report {
namespace {

using test::Network;

/// Two convolutions that share their 8x8x3x3 weights.
Graph network() {
  Network net;
  const ValueId x = net.input("x", {1, 8, 16, 16});
  const ValueId weights = net.random({8, 8, 3, 3});
  const test::AttributeList same = {{"pads", test::Ints{1, 1, 1, 1}}};
  return net.finish({net.node("Conv", {net.node("Conv", {x, weights}, same), weights}, same)});
}

constexpr std::int64_t kMacs = 8 * 8 * 3 * 3 * 16 * 16;

TEST(NetworkReport, CountsMacsPerNodeAndSharedParametersOnce) {
  const auto described = describe(network());
  ASSERT_EQ(described.nodes.size(), 2U);
  EXPECT_EQ(described.nodes[1].macs, kMacs);
  EXPECT_EQ(described.macs, 2 * kMacs);
  EXPECT_EQ(described.nodes[0].parameters, 576);
  EXPECT_EQ(described.parameters, 576);
  EXPECT_EQ(described.nodes[0].inputs.size(), 1U) << "weights are no activation";
}

TEST(NetworkReport, TextFitsTheTerminal) {
  Graph graph = network();
  for (const NodeId id : graph.topological_order())
    graph.node(id).name = std::string(180, 'n') + std::to_string(id);
  set_page_width(100);
  std::istringstream lines(to_text(describe(graph)));
  set_page_width(kUnlimited);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

TEST(NetworkReport, WhatIsNotKnownIsShownAsSuch) {
  Graph graph = network();
  const ValueId x = graph.inputs()[0];
  graph.value(x).shape = Shape{1, 8, -1, -1};
  ASSERT_TRUE(ops::infer_known_shapes(graph).empty());
  for (const NodeId id : graph.topological_order())
    graph.value(graph.node(id).outputs[0]).shape.reset();
  const std::string text = to_text(describe(graph));
  EXPECT_NE(text.find("1x8x?x?"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(to_json(describe(graph)));
  EXPECT_EQ(json["inputs"][0]["shape"], nlohmann::json::parse("[1,8,null,null]"));
  EXPECT_TRUE(json["outputs"][0]["shape"].is_null());
  EXPECT_EQ(json["macs"], 0);
}

TEST(NetworkReport, JsonSaysTheSame) {
  const auto json = nlohmann::json::parse(to_json(describe(network())));
  EXPECT_EQ(json["macs"], 2 * kMacs);
  EXPECT_EQ(json["parameters"], 576);
  EXPECT_EQ(json["nodes"].size(), 2U);
  EXPECT_EQ(json["inputs"][0]["name"], "x");
}

}  // namespace
}  // namespace espquant::report
