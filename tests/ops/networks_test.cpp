#include <gtest/gtest.h>

#include "onnx/import.h"
#include "ops/op.h"
#include "tests/support/shared.h"

namespace espquant::ops {
namespace {

Graph network(const char* file) {
  Graph graph = onnx::import_model(espquant::test::shared_dir() / "models" / file);
  infer_shapes(graph);
  return graph;
}

const Shape& output_shape(const Graph& graph) { return *graph.value(graph.outputs()[0]).shape; }

std::int64_t macs(const Graph& graph) {
  std::int64_t total = 0;
  for (NodeId n : graph.topological_order()) total += macs_of(graph, graph.node(n));
  return total;
}

TEST(Networks, EveryValueGetsItsShape) {
  ESPQUANT_NEEDS_SHARED("models");
  std::size_t networks = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(espquant::test::shared_dir() / "models")) {
    if (entry.path().extension() != ".onnx") continue;
    SCOPED_TRACE(entry.path().filename());
    const Graph graph = network(entry.path().filename().c_str());
    for (NodeId n : graph.topological_order())
      for (ValueId v : graph.node(n).outputs) EXPECT_TRUE(graph.value(v).shape.has_value());
    ++networks;
  }
  EXPECT_GE(networks, 10u);
}

TEST(Networks, ASymbolicBatchBecomesTheOneAskedFor) {
  ESPQUANT_NEEDS_SHARED("models");
  Graph graph = onnx::import_model(espquant::test::shared_dir() / "models" / "gesture_model.onnx");
  infer_shapes(graph, 4);
  EXPECT_EQ(output_shape(graph), (Shape{4, 8}));
}

TEST(Networks, ReshapeTargetsComputedFromShapesAreKnown) {
  ESPQUANT_NEEDS_SHARED("models");
  EXPECT_EQ(output_shape(network("resnet20_cifar10.onnx")), (Shape{1, 10}));
}

TEST(Networks, MultiplyAccumulatesAreThePublishedOnes) {
  ESPQUANT_NEEDS_SHARED("models");
  // MLPerf Tiny: 12.5 million for the classifier, 0.264 for the autoencoder.
  EXPECT_NEAR(static_cast<double>(macs(network("ic_resnet8_cifar10.onnx"))), 12.5e6, 0.05e6);
  EXPECT_NEAR(static_cast<double>(macs(network("ad_autoencoder_toycar.onnx"))), 0.264e6, 0.001e6);
}

}  // namespace
}  // namespace espquant::ops
