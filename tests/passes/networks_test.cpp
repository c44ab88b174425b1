#include <gtest/gtest.h>

#include "data/npz.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "tests/passes/run_pass.h"
#include "tests/support/shared.h"

namespace espquant::passes {
namespace {

namespace fs = std::filesystem;
using test::Operators;

struct NetworkCase {
  const char* file;
  /// How often each operator is left, in the alphabetical order of their names.
  std::map<std::string, int> operators;
};
void PrintTo(const NetworkCase& n, std::ostream* out) { *out << n.file; }

Graph import(const NetworkCase& network) {
  return onnx::import_model(test::shared_dir() / "models" / network.file);
}

/// One image of a batch, as a batch of one.
Tensor slice_of(const Tensor& batch, std::int64_t index) {
  Shape shape = batch.shape();
  shape.at(0) = 1;
  Tensor image(batch.dtype(), shape);
  const auto from =
      batch.bytes().subspan(static_cast<std::size_t>(index) * image.byte_size(), image.byte_size());
  std::copy(from.begin(), from.end(), image.mutable_bytes().begin());
  return image;
}

class SimplifiedNetwork : public testing::TestWithParam<NetworkCase> {};

TEST_P(SimplifiedNetwork, IsMadeOfTheseOperators) {
  ESPQUANT_NEEDS_SHARED(fs::path("models") / GetParam().file);
  std::map<std::string, int> count;
  for (const std::string& op : test::operators_of(simplify(import(GetParam())))) ++count[op];
  EXPECT_EQ(count, GetParam().operators);
}

TEST_P(SimplifiedNetwork, ComputesWhatOnnxRuntimeDoes) {
  const fs::path golden =
      fs::path("golden/onnxruntime") / fs::path(GetParam().file).replace_extension(".npz");
  ESPQUANT_NEEDS_SHARED(golden);
  const auto arrays = data::read_npz(test::shared_dir() / golden);
  const Graph original = import(GetParam());
  const Graph graph = simplify(original);
  const Tensor& images = arrays.at("input:" + graph.value(graph.inputs()[0]).name);
  for (std::int64_t image = 0; image < images.shape()[0]; ++image) {
    const auto outputs = test::evaluate(graph, {slice_of(images, image)});
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::string& name = graph.value(graph.outputs()[i]).name;
      test::expect_close(outputs[i], slice_of(arrays.at("output:" + name), image), 1e-4, name);
    }
  }
}

TEST_P(SimplifiedNetwork, SurvivesExportAndStaysAsItIs) {
  ESPQUANT_NEEDS_SHARED(fs::path("models") / GetParam().file);
  const Graph graph = simplify(import(GetParam()));
  const Graph back = onnx::import_model(onnx::export_model(graph), {});
  EXPECT_EQ(print(simplify(back)), print(graph));
}

INSTANTIATE_TEST_SUITE_P(
    Shared, SimplifiedNetwork,
    testing::Values(
        NetworkCase{"ad_autoencoder_toycar.onnx", {{"Gemm", 10}, {"Relu", 9}}},
        NetworkCase{"espdet_pico_224_224_cat.onnx",
                    {{"Add", 5},
                     {"Concat", 10},
                     {"Conv", 101},
                     {"MaxPool", 3},
                     {"Relu", 93},
                     {"Resize", 2},
                     {"Split", 3}}},
        NetworkCase{"gesture_model.onnx",
                    {{"Add", 2},
                     {"Clip", 9},
                     {"Conv", 13},
                     {"Flatten", 1},
                     {"Gemm", 1},
                     {"GlobalAveragePool", 1}}},
        NetworkCase{"hand_keypoint_mlp.onnx", {{"Gemm", 3}, {"Relu", 2}, {"Softmax", 1}}},
        NetworkCase{"ic_resnet8_cifar10.onnx",
                    {{"Add", 3},
                     {"AveragePool", 1},
                     {"Conv", 9},
                     {"Flatten", 1},
                     {"Gemm", 1},
                     {"Relu", 7},
                     {"Softmax", 1},
                     {"Transpose", 1}}},
        NetworkCase{
            "mobilenet_v1_0.25_224.onnx",
            {{"Clip", 27}, {"Conv", 27}, {"Flatten", 1}, {"Gemm", 1}, {"GlobalAveragePool", 1}}},
        NetworkCase{"resnet20_cifar10.onnx",
                    {{"Add", 9},
                     {"AveragePool", 1},
                     {"Conv", 19},
                     {"Gemm", 1},
                     {"Pad", 2},
                     {"Relu", 19},
                     {"Reshape", 1},
                     {"Slice", 2}}},
        NetworkCase{"sign_digits_lightgesturenet.onnx",
                    {{"Add", 2},
                     {"Clip", 9},
                     {"Conv", 13},
                     {"Flatten", 1},
                     {"Gemm", 1},
                     {"GlobalAveragePool", 1}}},
        NetworkCase{"sww_streaming_wakeword.onnx",
                    {{"Conv", 8},
                     {"Flatten", 1},
                     {"Gemm", 1},
                     {"Relu", 4},
                     {"Softmax", 1},
                     {"Transpose", 1}}},
        NetworkCase{"ultraface_rfb_320.onnx",
                    {{"Add", 1},
                     {"Concat", 3},
                     {"Conv", 52},
                     {"Relu", 37},
                     {"Reshape", 8},
                     {"Softmax", 1},
                     {"Transpose", 8}}}),
    [](const testing::TestParamInfo<NetworkCase>& n) {
      std::string name = fs::path(n.param.file).stem();
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

}  // namespace
}  // namespace espquant::passes
