#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "onnx/import.h"
#include "onnx/tensor_proto.h"
#include "tests/passes/run_pass.h"
#include "tests/support/shared.h"

namespace espquant::passes {
namespace {

namespace fs = std::filesystem;

bool all_known(const Graph& graph) {
  for (NodeId id : graph.topological_order())
    if (graph.node(id).domain != "" || ops::find_op(graph.node(id).op) == nullptr) return false;
  return true;
}

std::vector<fs::path> files_below(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == extension) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// As the importer does with the model's own: other floats become float32.
Tensor read_float32(const fs::path& path) {
  Tensor t = onnx::read_tensor_proto(read_file(path));
  return is_float(t.dtype()) ? t.cast(DType::Float32) : t;
}

/// One of ONNX's own operator tests.
struct OperatorTest {
  Graph graph;
  std::vector<Tensor> inputs, outputs;
};

OperatorTest read_test(const fs::path& model) {
  onnx::ImportOptions options;
  options.oldest_opset = 1;
  OperatorTest test{onnx::import_model(model, options), {}, {}};
  const fs::path data = model.parent_path() / "test_data_set_0";
  for (std::size_t i = 0; i < test.graph.inputs().size(); ++i)
    test.inputs.push_back(read_float32(data / ("input_" + std::to_string(i) + ".pb")));
  for (std::size_t i = 0; i < test.graph.outputs().size(); ++i)
    test.outputs.push_back(read_float32(data / ("output_" + std::to_string(i) + ".pb")));
  return test;
}

/// ONNX's own tolerance, as in its test runner.
void expect_near(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.shape(), expected.shape());
  // Comparisons that a network puts out become numbers.
  if (expected.dtype() == DType::Bool && actual.dtype() == DType::Float32)
    return expect_near(actual, expected.cast(DType::Float32));
  ASSERT_EQ(actual.dtype(), expected.dtype());
  if (expected.dtype() != DType::Float32) {
    EXPECT_TRUE(actual.equals(expected));
    return;
  }
  const auto a = actual.data<float>(), e = expected.data<float>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]));
    ASSERT_TRUE(same || std::abs(a[i] - e[i]) <= 1e-5F + 1e-3F * std::abs(e[i]))
        << i << ": " << a[i] << " " << e[i];
  }
}

/// The graph with inputs from `first` on turned into constants.
Graph with_constants(const OperatorTest& test, std::size_t first) {
  Graph graph = test.graph;
  for (std::size_t i = first; i < test.inputs.size(); ++i) {
    const ValueId v = graph.inputs()[i];
    graph.replace_uses(v, graph.add_constant(graph.value(v).name + "_constant", test.inputs[i]));
  }
  return graph;
}

/// Whole numbers that `graph` takes as floats become such (pass float_inputs).
std::vector<Tensor> as_taken_by(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> taken = inputs;
  for (std::size_t i = 0; i < taken.size(); ++i)
    taken[i] = taken[i].cast(graph.value(graph.inputs()[i]).dtype);
  return taken;
}

class OnnxOperators : public testing::TestWithParam<bool> {};

/// Every operator test of ONNX computes the same after simplification: once as it stands, once with
/// every input but the first as a constant, which is what the rewrites look for.
TEST_P(OnnxOperators, ComputeTheSameAfterSimplification) {
  ESPQUANT_NEEDS_SHARED("golden/onnx_node");
  const bool constants = GetParam();
  int checked = 0;
  for (const fs::path& model : files_below(test::shared_dir() / "golden/onnx_node", ".onnx")) {
    SCOPED_TRACE(model.parent_path().filename());
    const OperatorTest test = read_test(model);
    if (!all_known(test.graph)) continue;
    Graph graph = with_constants(test, constants ? 1 : test.inputs.size());
    try {
      ops::infer_shapes(graph);
      test::evaluate(graph, test.inputs);
    } catch (const Error& e) {
      // Shapes that depend on data cannot be simplified; that the operators refuse them is their
      // own test.
      EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
      continue;
    }
    const Graph simple = simplify(graph);
    const auto outputs = test::evaluate(simple, as_taken_by(simple, test.inputs));
    ASSERT_EQ(outputs.size(), test.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) expect_near(outputs[i], test.outputs[i]);
    ++checked;
  }
  EXPECT_GT(checked, 300);
}

INSTANTIATE_TEST_SUITE_P(With, OnnxOperators, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& constants) {
                           return constants.param ? "ConstantParameters" : "ComputedParameters";
                         });

TEST(EspressifOperatorCases, ComputeTheSameAfterSimplification) {
  ESPQUANT_NEEDS_SHARED("golden/op_cases");
  int checked = 0;
  for (const fs::path& model : files_below(test::shared_dir() / "golden/op_cases", ".onnx")) {
    SCOPED_TRACE(model.filename());
    Graph graph = onnx::import_model(model);
    if (!all_known(graph)) continue;
    ops::infer_shapes(graph);
    test::expect_same_function(simplify(graph), graph, 1e-5);
    ++checked;
  }
  EXPECT_GT(checked, 100);
}

}  // namespace
}  // namespace espquant::passes
