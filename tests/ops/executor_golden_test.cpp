#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <string_view>

#include "base/file.h"
#include "data/npz.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "ops/executor.h"
#include "tests/support/network.h"
#include "tests/support/shared.h"

/// The executor against ONNX Runtime on whole networks and against ONNX's own operator tests.
namespace espquant::ops {
namespace {

namespace fs = std::filesystem;

Tensor image_of(const Tensor& batch, std::int64_t i) {
  Shape shape = batch.shape();
  shape[0] = 1;
  const auto size = static_cast<std::size_t>(element_count(shape));
  return Tensor::of<float>(shape,
                           batch.data<float>().subspan(static_cast<std::size_t>(i) * size, size));
}

double relative_error(std::span<const float> actual, std::span<const float> expected) {
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double e = static_cast<double>(expected[i]);
    const double d = static_cast<double>(actual[i]) - e;
    error += d * d;
    norm += e * e;
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

class GoldenNetwork : public testing::TestWithParam<const char*> {};

TEST_P(GoldenNetwork, AgreesWithOnnxRuntime) {
  const std::string name = GetParam();
  const fs::path model = fs::path("models") / (name + ".onnx");
  const fs::path results = fs::path("golden/onnxruntime") / (name + ".npz");
  ESPQUANT_NEEDS_SHARED(model);
  ESPQUANT_NEEDS_SHARED(results);
  Graph graph = onnx::import_model(espquant::test::shared_dir() / model);
  infer_shapes(graph);
  const auto golden = data::read_npz(espquant::test::shared_dir() / results);
  const auto batch = [&](const char* kind, ValueId v) -> const Tensor& {
    return golden.at(kind + graph.value(v).name);
  };
  for (const bool observe_all : {true, false}) {
    const Executor executor(graph, {.observe_all = observe_all});
    Executor::Workspace workspace(executor);
    const std::int64_t images = batch("input:", graph.inputs()[0]).shape()[0];
    for (std::int64_t i = 0; i < images; ++i) {
      std::vector<Tensor> inputs;
      for (ValueId v : graph.inputs()) inputs.push_back(image_of(batch("input:", v), i));
      const auto outputs = executor.run(inputs, workspace);
      for (std::size_t k = 0; k < outputs.size(); ++k) {
        const Tensor expected = image_of(batch("output:", graph.outputs()[k]), i);
        ASSERT_EQ(outputs[k].shape(), expected.shape());
        EXPECT_LT(relative_error(outputs[k].data<float>(), expected.data<float>()), 1e-4)
            << "image " << i << ", output " << graph.value(graph.outputs()[k]).name;
      }
    }
  }
}

std::string without_dots(const testing::TestParamInfo<const char*>& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenNetwork,
                         testing::Values("ad_autoencoder_toycar", "espdet_pico_224_224_cat",
                                         "gesture_model", "hand_keypoint_mlp", "ic_resnet8_cifar10",
                                         "mobilenet_v1_0.25_224", "resnet20_cifar10",
                                         "sign_digits_lightgesturenet", "sww_streaming_wakeword",
                                         "ultraface_rfb_320"),
                         without_dots);

std::vector<Tensor> executor_golden_tensors_of(const fs::path& set, const std::string& kind) {
  std::vector<Tensor> tensors;
  for (int i = 0; fs::exists(set / (kind + "_" + std::to_string(i) + ".pb")); ++i)
    tensors.push_back(
        onnx::read_tensor_proto(read_file(set / (kind + "_" + std::to_string(i) + ".pb"))));
  return tensors;
}

/// The network with all inputs but the first one turned into constants, as weights and axes are in
/// practice.
Graph with_one_input(const Graph& graph, const std::vector<Tensor>& inputs) {
  Graph result;
  result.name = graph.name;
  result.opset = graph.opset;
  for (ValueId v = 0; v < static_cast<ValueId>(graph.value_count()); ++v) {
    const Value& value = graph.value(v);
    const auto input = std::find(graph.inputs().begin(), graph.inputs().end(), v);
    const auto index = static_cast<std::size_t>(input - graph.inputs().begin());
    if (index > 0 && index < inputs.size())
      result.add_constant(value.name, inputs[index]);
    else if (value.is_constant())
      result.add_constant(value.name, value.constant);
    else if (index == 0 && !inputs.empty())
      result.add_value(value.name, value.dtype, inputs[0].shape());
    else
      result.add_value(value.name, value.dtype, value.shape);
  }
  for (NodeId n : graph.topological_order()) {
    const Node& node = graph.node(n);
    result.add_node(node.op, node.name, node.inputs, node.outputs, node.attributes);
  }
  if (!graph.inputs().empty()) result.add_input(graph.inputs()[0]);
  for (ValueId v : graph.outputs()) result.add_output(v);
  infer_shapes(result);
  return result;
}

/// The beginnings of the names of ONNX's tests for operators that have a fast path.
constexpr std::array<std::string_view, 47> kAccelerated{"abs",
                                                        "add",
                                                        "averagepool",
                                                        "basic_conv",
                                                        "batchnorm",
                                                        "clip",
                                                        "concat",
                                                        "conv_",
                                                        "convtranspose",
                                                        "depthtospace",
                                                        "div",
                                                        "dropout",
                                                        "edge_pad",
                                                        "elu",
                                                        "expand_dim",
                                                        "flatten",
                                                        "gather_",
                                                        "gemm",
                                                        "globalaveragepool",
                                                        "globalmaxpool",
                                                        "hardsigmoid",
                                                        "hardswish",
                                                        "identity",
                                                        "leakyrelu",
                                                        "matmul",
                                                        "max",
                                                        "min",
                                                        "mul",
                                                        "neg",
                                                        "prelu",
                                                        "reduce_mean",
                                                        "reflect_pad",
                                                        "relu",
                                                        "reshape",
                                                        "resize",
                                                        "sigmoid",
                                                        "slice",
                                                        "softmax",
                                                        "spacetodepth",
                                                        "split",
                                                        "sqrt",
                                                        "squeeze",
                                                        "sub",
                                                        "sum",
                                                        "tanh",
                                                        "tile",
                                                        "transpose"};

bool is_accelerated(const std::string& test) {
  return std::any_of(kAccelerated.begin(), kAccelerated.end(), [&](std::string_view name) {
    return test.starts_with("test_" + std::string(name));
  });
}

TEST(ExecutorOnnxNode, EveryCaseOfAnAcceleratedOperatorPasses) {
  ESPQUANT_NEEDS_SHARED("golden/onnx_node");
  onnx::ImportOptions options;
  options.float32_only = false;
  options.oldest_opset = 1;
  std::size_t cases = 0, fast = 0;
  for (const auto& entry :
       fs::directory_iterator(espquant::test::shared_dir() / "golden" / "onnx_node")) {
    const std::string name = entry.path().filename();
    if (!is_accelerated(name)) continue;
    SCOPED_TRACE(name);
    const fs::path set = entry.path() / "test_data_set_0";
    const auto inputs = executor_golden_tensors_of(set, "input");
    const auto expected = executor_golden_tensors_of(set, "output");
    const Graph graph =
        with_one_input(onnx::import_model(entry.path() / "model.onnx", options), inputs);
    const Executor executor(graph);
    Executor::Workspace workspace(executor);
    const auto given = std::span(inputs).first(graph.inputs().size());
    const auto outputs = executor.run(given, workspace);
    for (std::size_t i = 0; i < expected.size(); ++i)
      espquant::test::expect_close(outputs.at(i), expected[i], 1e-4, name);
    ++cases;
    fast += executor.describe().find("reference") == std::string::npos ? 1 : 0;
  }
  std::cout << cases << " cases, " << fast << " without a reference kernel\n";
  EXPECT_GE(cases, 250u);
  EXPECT_GE(fast, 120u);
}

}  // namespace
}  // namespace espquant::ops
