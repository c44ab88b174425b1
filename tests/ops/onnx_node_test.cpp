#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "ops/op.h"
#include "tests/support/shared.h"

/// The ONNX project's own operator tests, run through import, shape inference and the reference
/// kernels.
namespace espquant::ops {
namespace {

namespace fs = std::filesystem;

/// Cases that do not run, and why. Every other case has to pass.
const std::map<std::string, std::string>& known_not_to_run() {
  constexpr const char* kRandom = "drops elements by NumPy's random numbers";
  static const std::map<std::string, std::string> kCases = {
      {"test_training_dropout", kRandom},
      {"test_training_dropout_default", kRandom},
      {"test_training_dropout_default_mask", kRandom},
      {"test_training_dropout_mask", kRandom},
  };
  return kCases;
}

std::vector<Tensor> onnx_node_tensors_of(const fs::path& set, const std::string& kind) {
  std::vector<Tensor> tensors;
  for (int i = 0; fs::exists(set / (kind + "_" + std::to_string(i) + ".pb")); ++i)
    tensors.push_back(
        onnx::read_tensor_proto(read_file(set / (kind + "_" + std::to_string(i) + ".pb"))));
  return tensors;
}

/// Runs the graph node by node. The inputs become constants first, as ONNX's own runner feeds
/// shapes and axes as data: what is no constant in the file has to be known for shape inference.
std::vector<Tensor> run_graph(Graph& graph, const std::vector<Tensor>& inputs) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i)
    graph.value(graph.inputs()[i]).constant = inputs.at(i);
  infer_shapes(graph);
  std::map<ValueId, Tensor> values;
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> arguments;
    for (ValueId v : node.inputs) {
      const bool constant = v != kNone && graph.value(v).is_constant();
      arguments.push_back(v == kNone ? nullptr
                          : constant ? &graph.value(v).constant
                                     : &values.at(v));
    }
    const std::vector<Tensor> results = run_node(graph, node, arguments);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (node.outputs[i] == kNone) continue;
      EXPECT_EQ(results[i].shape(), *graph.value(node.outputs[i]).shape);
      EXPECT_EQ(results[i].dtype(), graph.value(node.outputs[i]).dtype);
      values[node.outputs[i]] = results[i];
    }
  }
  std::vector<Tensor> outputs;
  for (ValueId v : graph.outputs())
    outputs.push_back(graph.value(v).is_constant() ? graph.value(v).constant : values.at(v));
  return outputs;
}

/// Empty when equal within ONNX's tolerances: |a - b| <= 1e-5 + 1e-3 |b|.
std::string difference(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype())
    return "type " + std::string(to_string(actual.dtype())) + ", expected " +
           std::string(to_string(expected.dtype()));
  if (actual.shape() != expected.shape())
    return "shape " + to_string(actual.shape()) + ", expected " + to_string(expected.shape());
  if (!is_float(expected.dtype())) return actual.equals(expected) ? "" : "integers differ";
  const Tensor a = actual.cast(DType::Float64), b = expected.cast(DType::Float64);
  for (std::size_t i = 0; i < a.data<double>().size(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    if (std::isnan(x) && std::isnan(y)) continue;
    if (x != y && !(std::abs(x - y) <= 1e-5 + 1e-3 * std::abs(y)))
      return "element " + std::to_string(i) + " is " + std::to_string(x) + ", expected " +
             std::to_string(y);
  }
  return "";
}

/// Empty when the case passes. Throws Error when it cannot run.
std::string run_case(const fs::path& folder) {
  onnx::ImportOptions options;
  options.float32_only = false;
  options.oldest_opset = 1;
  const Graph imported = onnx::import_model(folder / "model.onnx", options);
  for (int set = 0; fs::exists(folder / ("test_data_set_" + std::to_string(set))); ++set) {
    const fs::path data = folder / ("test_data_set_" + std::to_string(set));
    Graph graph = imported;
    const auto expected = onnx_node_tensors_of(data, "output");
    const auto actual = run_graph(graph, onnx_node_tensors_of(data, "input"));
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (const std::string d = difference(actual.at(i), expected[i]); !d.empty())
        return "output " + std::to_string(i) + ": " + d;
  }
  return "";
}

TEST(OnnxNode, EveryCaseRunsOrIsListed) {
  ESPQUANT_NEEDS_SHARED("golden/onnx_node");
  std::vector<fs::path> folders;
  for (const auto& entry :
       fs::directory_iterator(espquant::test::shared_dir() / "golden" / "onnx_node"))
    if (fs::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  std::size_t ran = 0;
  for (const fs::path& folder : folders) {
    const std::string name = folder.filename();
    const auto listed = known_not_to_run().find(name);
    SCOPED_TRACE(name);
    try {
      EXPECT_EQ(run_case(folder), "");
      EXPECT_EQ(listed, known_not_to_run().end()) << "runs now: take it off the list";
      ++ran;
    } catch (const Error& e) {
      if (listed == known_not_to_run().end())
        ADD_FAILURE() << e.what();
      else
        std::cout << "not run: " << name << ": " << listed->second << '\n';
    }
  }
  std::cout << ran << " of " << folders.size() << " cases ran\n";
  EXPECT_EQ(ran + known_not_to_run().size(), folders.size());
}

}  // namespace
}  // namespace espquant::ops
