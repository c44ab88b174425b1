#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "tests/ops/one_node.h"

/// Every gradient against central differences of the operator's own kernel, in double.
namespace espquant::ops {
namespace {

using test::error_of;
using test::ints;
using test::OneNode;

/// Numbers of [lo, hi], no two of a tensor alike, so that maxima are certain.
Tensor real(Shape shape, double lo = -2, double hi = 2) {
  Tensor t(DType::Float64, std::move(shape));
  Random random(static_cast<std::uint64_t>(t.size()) + 17);
  auto x = t.mutable_data<double>();
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = lo + (hi - lo) * static_cast<double>(random.uniform());
  return t;
}

Tensor booleans(std::initializer_list<bool> values) {
  return Tensor::of<bool>({static_cast<std::int64_t>(values.size())}, values);
}

Tensor floats_of(std::initializer_list<float> values) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values);
}

struct GradientCase {
  OneNode node;
  /// Inputs before this one are checked, as far as they are float64.
  std::size_t checked = 9;
};

struct Evaluation {
  explicit Evaluation(const OneNode& given) : one(given) {
    graph.opset = one.opset;
    node.name = "n";
    node.op = one.op;
    node.attributes = one.attributes;
    node.inputs.assign(one.inputs.size(), 0);
    node.outputs.assign(one.outputs, 0);
  }
  std::vector<const Tensor*> pointers(const std::vector<Tensor>& inputs) const {
    std::vector<const Tensor*> result;
    for (const Tensor& t : inputs) result.push_back(t.defined() ? &t : nullptr);
    return result;
  }
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) const {
    return run_node(graph, node, pointers(inputs));
  }
  const OneNode& one;
  Graph graph;
  Node node;
};

/// A weight for each output element, so that errors do not cancel.
std::vector<Tensor> probes_for(const std::vector<Tensor>& outputs) {
  std::vector<Tensor> probes;
  for (const Tensor& t : outputs)
    probes.push_back(t.dtype() == DType::Float64 ? real(t.shape(), -1, 1) : Tensor());
  return probes;
}

double weighted_sum(const std::vector<Tensor>& outputs, const std::vector<Tensor>& probes) {
  double sum = 0;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    if (!probes[o].defined()) continue;
    const auto y = outputs[o].data<double>(), p = probes[o].data<double>();
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * p[i];
  }
  return sum;
}

void expect_gradient(const GradientCase& given) {
  const Evaluation e(given.node);
  const std::vector<Tensor>& inputs = given.node.inputs;
  const std::vector<Tensor> outputs = e.run(inputs);
  const std::vector<Tensor> probes = probes_for(outputs);
  std::vector<bool> wanted(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    wanted[i] = i < given.checked && inputs[i].dtype() == DType::Float64;
  const std::vector<Tensor> gradients =
      run_gradient(e.graph, e.node, e.pointers(inputs), outputs, probes, wanted);
  constexpr double kStep = 1e-5;
  bool any = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!wanted[i]) {
      EXPECT_FALSE(gradients[i].defined());
      continue;
    }
    ASSERT_EQ(gradients[i].shape(), inputs[i].shape());
    for (std::int64_t k = 0; k < inputs[i].size(); ++k) {
      const auto at = static_cast<std::size_t>(k);
      std::vector<Tensor> moved = inputs;
      const auto sum_at = [&](double by) {
        moved[i].mutable_data<double>()[at] = inputs[i].data<double>()[at] + by;
        return weighted_sum(e.run(moved), probes);
      };
      const double expected = (sum_at(kStep) - sum_at(-kStep)) / (2 * kStep);
      const double found = gradients[i].data<double>()[at];
      ASSERT_NEAR(found, expected, 1e-6 * std::max(1.0, std::abs(expected)))
          << given.node.op << ", input " << i << ", element " << k;
      any = any || found != 0;
    }
  }
  EXPECT_TRUE(any) << given.node.op << ": nothing was checked but zeros";
}

using L = std::vector<std::int64_t>;
using F = std::vector<float>;

std::vector<GradientCase> gradient_cases() {
  const Tensor x = real({3, 5}), positive = real({3, 5}, 0.3, 2), small = real({3, 5}, -0.9, 0.9);
  const Tensor image = real({2, 4, 7, 6});
  std::vector<GradientCase> cases;
  const auto add = [&](OneNode node, std::size_t checked = 9) {
    cases.push_back({std::move(node), checked});
  };
  for (const char* op : {"Abs",        "Asinh",       "Atan",
                         "Celu",       "Cos",         "Cosh",
                         "Elu",        "Erf",         "Exp",
                         "Gelu",       "HardSigmoid", "HardSwish",
                         "Identity",   "LeakyRelu",   "Mish",
                         "Neg",        "Relu",        "Selu",
                         "Shrink",     "Sigmoid",     "Sin",
                         "Sinh",       "Softplus",    "Softsign",
                         "Swish",      "Tanh",        "ThresholdedRelu",
                         "LogSoftmax", "Softmax",     "Dropout"})
    add(OneNode(op, {x}));
  for (const char* op : {"Acos", "Asin", "Atanh", "Tan"}) add(OneNode(op, {small}));
  for (const char* op : {"Log", "Reciprocal", "Sqrt"}) add(OneNode(op, {positive}));
  add(OneNode("Acosh", {real({7}, 1.2, 3)}));
  add(OneNode("Gelu", {x}, {{"approximate", "tanh"}}));
  add(OneNode("HardSwish", {real({9}, -5, 5)}));
  add(OneNode("Softmax", {real({2, 3, 4})}, {{"axis", std::int64_t{1}}}));
  add(OneNode("Softmax", {real({2, 3, 4})}, {{"axis", std::int64_t{1}}}).at(11));

  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    add(OneNode(op, {x, positive}));
    add(OneNode(op, {real({2, 1, 3}), real({4, 1}, 0.5, 2)}));
    add(OneNode(op, {real({3}), real({}, 0.5, 2)}));
  }
  add(OneNode("Pow", {positive, real({5}, -1, 3)}));
  add(OneNode("PRelu", {real({2, 3, 4}), real({3, 1})}));
  for (const char* op : {"Max", "Min", "Mean", "Sum"})
    add(OneNode(op, {real({2, 3}), real({3}), real({2, 1}, -1, 1)}));
  add(OneNode("Where", {booleans({true, false, true}), real({2, 3}), real({1}, 0, 1)}));
  add(OneNode("Clip", {x, Tensor::scalar(-0.7), Tensor::scalar(1.1)}));

  const auto conv = [&](const char* op, const Tensor& input, Shape weights, std::int64_t outputs) {
    return OneNode(op, {input, real(std::move(weights)), real({outputs})});
  };
  add(conv("Conv", image, {3, 4, 3, 3}, 3).set("pads", L{1, 0, 2, 1}));
  add(conv("Conv", image, {6, 2, 3, 2}, 6).set("group", std::int64_t{2}).set("strides", L{2, 3}));
  add(conv("Conv", image, {4, 1, 3, 3}, 4)
          .set("group", std::int64_t{4})
          .set("dilations", L{2, 1})
          .set("pads", L{2, 1, 2, 1}));
  add(conv("Conv", real({2, 3, 9}), {2, 3, 4}, 2).set("strides", L{2}));
  add(OneNode("Conv", {real({1, 2, 3, 4, 3}), real({2, 2, 2, 2, 2})}));
  add(conv("ConvTranspose", real({2, 4, 3, 2}), {4, 2, 3, 3}, 4)
          .set("group", std::int64_t{2})
          .set("strides", L{2, 1})
          .set("pads", L{1, 0, 1, 1}));
  add(conv("ConvTranspose", real({1, 2, 4}), {2, 3, 3}, 3).set("dilations", L{2}));
  add(OneNode("Gemm", {real({3, 4}), real({4, 5}), real({5})}, {{"alpha", 0.7F}, {"beta", 1.3F}}));
  add(OneNode("Gemm", {real({4, 3}), real({5, 4}), real({3, 1})},
              {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}}));
  add(OneNode("MatMul", {real({2, 1, 3, 4}), real({5, 4, 2})}));
  add(OneNode("MatMul", {real({4}), real({3, 4, 2})}));
  add(OneNode("AveragePool", {image},
              {{"kernel_shape", L{3, 2}}, {"pads", L{1, 0, 1, 1}}, {"strides", L{2, 1}}}));
  add(OneNode("AveragePool", {image},
              {{"kernel_shape", L{3, 3}},
               {"pads", L{1, 1, 1, 1}},
               {"count_include_pad", std::int64_t{1}}}));
  add(OneNode("MaxPool", {image},
              {{"kernel_shape", L{3, 2}}, {"pads", L{1, 0, 1, 1}}, {"strides", L{2, 1}}}));
  add(OneNode("GlobalAveragePool", {image}));
  add(OneNode("GlobalMaxPool", {image}));

  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSumSquare"}) {
    add(OneNode(op, {real({2, 3, 4})}, {{"axes", L{0, 2}}}));
    add(OneNode(op, {real({2, 3})}, {{"keepdims", std::int64_t{0}}}));
  }
  add(OneNode("ReduceLogSum", {real({2, 3}, 0.2, 2)}, {{"axes", L{1}}}));
  add(OneNode("ReduceSum", {real({2, 3, 4}), ints({1})}));
  Tensor with_zero = real({2, 3});
  with_zero.mutable_data<double>()[1] = 0;
  add(OneNode("ReduceProd", {with_zero}, {{"axes", L{1}}}));

  add(OneNode("BatchNormalization",
              {image, real({4}), real({4}), real({4}, -1, 1), real({4}, 0.5, 2)}));
  add(OneNode("InstanceNormalization", {real({2, 3, 5}), real({3}), real({3})}));
  add(OneNode("GroupNormalization", {real({2, 4, 3}), real({4}), real({4})},
              {{"num_groups", std::int64_t{2}}})
          .at(21));
  add(OneNode("LayerNormalization", {real({3, 5}), real({5}), real({5})}));
  add(OneNode("LayerNormalization", {real({2, 3, 4}), real({4}), real({4})},
              {{"axis", std::int64_t{1}}}));
  add(OneNode("RMSNormalization", {real({3, 5}), real({5})}));
  for (std::int64_t p : {1, 2}) add(OneNode("LpNormalization", {real({3, 5})}, {{"p", p}}));

  add(OneNode("Concat", {real({2, 3}), real({2, 1}), real({2, 2})}, {{"axis", std::int64_t{1}}}));
  add(OneNode("Transpose", {real({2, 3, 4})}, {{"perm", L{2, 0, 1}}}));
  for (const char* mode : {"constant", "edge", "reflect", "wrap"})
    add(OneNode("Pad", {real({3, 4}), ints({1, 2, 0, -1})}, {{"mode", mode}}));
  add(OneNode("Pad", {real({3}), ints({1, 1}), Tensor::scalar(0.5)}), 1);
  add(OneNode("Slice", {real({4, 6}), ints({3, 0}), ints({0, 6}), ints({0, 1}), ints({-1, 2})}));
  add(OneNode("Split", {real({2, 5})}, {{"axis", std::int64_t{1}}, {"split", L{2, 3}}})
          .at(11)
          .with_outputs(2));
  add(OneNode("Expand", {real({3, 1}), ints({2, 3, 4})}));
  add(OneNode("Tile", {real({2, 3}), ints({2, 2})}));
  add(OneNode("DepthToSpace", {real({1, 8, 2, 3})}, {{"blocksize", std::int64_t{2}}}));
  add(OneNode("SpaceToDepth", {real({1, 2, 4, 6})}, {{"blocksize", std::int64_t{2}}}));
  add(OneNode("Gather", {real({4, 3}), ints({2, 0, 2})}));
  add(OneNode("GatherElements", {real({3}), ints({2, 0, 2})}, {{"axis", std::int64_t{0}}}));
  add(OneNode("GatherND", {real({4, 3}), Tensor::of<std::int64_t>({2, 1}, {3, 1})}));
  add(OneNode("InsertZeros", {real({1, 2, 3, 4})}, {{"strides", L{2, 2}}}));
  add(OneNode("ReverseSequence", {real({4, 2}), ints({3, 4})}));
  add(OneNode("Trilu", {real({4, 4})}));
  add(OneNode("Flatten", {real({2, 3, 4})}));
  add(OneNode("Reshape", {real({2, 6}), ints({3, -1})}));
  add(OneNode("Squeeze", {real({2, 1, 3}), ints({1})}));
  add(OneNode("Unsqueeze", {real({2, 3}), ints({1})}));
  for (const char* mode : {"nearest", "linear", "cubic"})
    add(OneNode("Resize", {real({1, 2, 4, 3}), Tensor(), floats_of({1, 1, 2, 1.7F})},
                {{"mode", mode}}));
  add(OneNode("Upsample", {real({1, 1, 2, 3}), floats_of({1, 1, 2, 2})}).at(9));
  return cases;
}

TEST(Gradient, IsThatOfCentralDifferences) {
  for (const GradientCase& c : gradient_cases()) {
    SCOPED_TRACE(c.node.op);
    expect_gradient(c);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Gradient, OfEveryOperatorThatHasOneIsChecked) {
  std::set<std::string_view> checked, with_gradient;
  const auto cases = gradient_cases();
  for (const GradientCase& c : cases) checked.insert(find_op(c.node.op)->type);
  for (const OpDef& op : all_ops())
    if (op.gradient != nullptr) with_gradient.insert(op.type);
  EXPECT_EQ(checked, with_gradient);
}

TEST(Gradient, IsNotComputedForAnOperatorWithoutOne) {
  const OneNode node("Round", {real({3})});
  const Evaluation e(node);
  const auto outputs = e.run(node.inputs);
  const Error error = error_of(
      [&] { run_gradient(e.graph, e.node, e.pointers(node.inputs), outputs, outputs, {true}); });
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_EQ(error.node(), "n");
  EXPECT_NE(std::string(error.message()).find("Round"), std::string::npos);
}

TEST(Gradient, OfOutputsThatNothingComesBackToIsNone) {
  const OneNode node("Relu", {real({3})});
  const Evaluation e(node);
  const auto outputs = e.run(node.inputs);
  const std::vector<Tensor> nothing(1);
  const auto gradients =
      run_gradient(e.graph, e.node, e.pointers(node.inputs), outputs, nothing, {true});
  EXPECT_FALSE(gradients.at(0).defined());
}

}  // namespace
}  // namespace espquant::ops
