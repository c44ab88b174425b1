#include <gtest/gtest.h>

#include "base/file.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "tests/support/shared.h"

namespace espquant::onnx {
namespace {

namespace fs = std::filesystem;

struct Network {
  const char* file;
  std::int64_t opset;
  Shape input;
  std::size_t outputs;
  std::int64_t nodes;
};

class ImportsNetwork : public testing::TestWithParam<Network> {};

TEST_P(ImportsNetwork, WithItsInterfaceAndNodes) {
  const Network& expected = GetParam();
  ESPQUANT_NEEDS_SHARED(fs::path("models") / expected.file);
  const Graph graph = import_model(test::shared_dir() / "models" / expected.file);
  verify(graph, "import");
  check_finite_constants(graph);
  EXPECT_EQ(graph.opset, expected.opset);
  ASSERT_EQ(graph.inputs().size(), 1U);
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, expected.input);
  EXPECT_EQ(graph.outputs().size(), expected.outputs);
  std::int64_t nodes = 0;
  for (NodeId id : graph.topological_order()) {
    EXPECT_NE(graph.node(id).op, "Constant");
    EXPECT_FALSE(graph.node(id).name.empty());
    ++nodes;
  }
  EXPECT_EQ(nodes, expected.nodes);
}

INSTANTIATE_TEST_SUITE_P(
    Shared, ImportsNetwork,
    testing::Values(Network{"ad_autoencoder_toycar.onnx", 13, {1, 640}, 1, 28},
                    Network{"espdet_pico_224_224_cat.onnx", 13, {1, 3, 224, 224}, 6, 217},
                    Network{"gesture_model.onnx", 17, {-1, 1, 96, 96}, 1, 27},
                    Network{"hand_keypoint_mlp.onnx", 13, {1, 42}, 1, 6},
                    Network{"ic_resnet8_cifar10.onnx", 13, {1, 32, 32, 3}, 1, 31},
                    Network{"mobilenet_v1_0.25_224.onnx", 13, {1, 3, 224, 224}, 1, 57},
                    Network{"resnet20_cifar10.onnx", 13, {1, 3, 32, 32}, 1, 75},
                    Network{"sign_digits_lightgesturenet.onnx", 13, {-1, 1, 96, 96}, 1, 27},
                    Network{"sww_streaming_wakeword.onnx", 13, {1, 30, 1, 40}, 1, 20},
                    Network{"ultraface_rfb_320.onnx", 9, {1, 3, 240, 320}, 2, 110}),
    [](const testing::TestParamInfo<Network>& network) {
      std::string name = fs::path(network.param.file).stem();
      for (char& c : name)
        if (c == '.') c = '_';
      return name;
    });

TEST(OnnxNodeTests, EveryModelAndTensorIsRead) {
  ESPQUANT_NEEDS_SHARED("golden/onnx_node");
  ImportOptions options;
  options.float32_only = false;
  options.oldest_opset = 1;
  int models = 0, tensors = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(test::shared_dir() / "golden/onnx_node")) {
    if (entry.path().extension() == ".onnx") {
      verify(import_model(entry.path(), options), "import");
      ++models;
    } else if (entry.path().extension() == ".pb") {
      EXPECT_TRUE(read_tensor_proto(read_file(entry.path())).defined()) << entry.path();
      ++tensors;
    }
  }
  EXPECT_GE(models, 500);
  EXPECT_GE(tensors, 2 * models);
}

}  // namespace
}  // namespace espquant::onnx
